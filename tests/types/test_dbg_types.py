import pathlib
ns = {}
def test_dbg(run_types, duckdb):
    import importlib.util
    spec = importlib.util.spec_from_file_location("tt", pathlib.Path(__file__).parent/"test_type_table.py")
    m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    out = run_types(m.SOURCE, duckdb.spec(), address="custom://Shop?table=")
    print("LOG", out.log)
    print("ROWS", duckdb.rows("select * from raw.types"))
    assert 0
