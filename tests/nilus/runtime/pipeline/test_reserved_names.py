"""Names that rows give to tables: they take no table of the journal, and lead to no other folder."""

from __future__ import annotations

import pytest

from nilus.errors import SourceError

CODE = """
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            yield nilus.resource([{"id": 1}], name="orders")
            yield nilus.resource([{"id": 1}], name="rows", table_name=lambda row: %r)
"""


def test_nothing_of_a_run_that_takes_the_journals_table_lands(run_duckdb):
    with pytest.raises(SourceError, match="writes to _airflow_loads, which is not a table of its own"):
        run_duckdb(CODE % "_airflow_loads")
    assert run_duckdb.sink.rows("SELECT table_name FROM information_schema.tables WHERE table_name = 'orders'") == []


@pytest.mark.parametrize("name", ["../../x", "/tmp/x"])
def test_a_table_named_by_a_row_does_not_lead_out_of_the_work_folder(run_duckdb, tmp_path, name):
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    with pytest.raises(SourceError):
        run_duckdb(CODE % name, env={"SCHEMA__NAMING": "direct"})
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before
