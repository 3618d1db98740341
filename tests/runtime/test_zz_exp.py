import threading, time, pytest
CODE='''
    @nilus.resource(write_disposition="append")
    def one():
        yield {"id": 1}
    @nilus.resource(write_disposition="replace")
    def two():
        yield {"id": 1}
    @nilus.resource(write_disposition="merge", primary_key="id")
    def three():
        yield {"id": 1}
    @nilus.resource(write_disposition="append")
    def four():
        yield {"id": 1}
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kw):
            return one, two, three, four
'''
@pytest.mark.parametrize("n", range(3))
def test_a(run_postgres, n):
    co = run_postgres.checkout(CODE)
    errors=[]; logs=[]
    def go(i, name):
        from conftest_runner import Runner
    children=[]
    for i,name in enumerate(["one","two","three","four"]):
        job=run_postgres.job(co, state_key=f"k.{i}", resources=[name])
        b=run_postgres.folder/"barrier"; b.mkdir(exist_ok=True)
        import pathlib
        children.append(run_postgres.child(job, environ={"PYTHONPATH":str(pathlib.Path(__file__).parent),"BARRIER":str(b),"PARTIES":"4"}, extra_args=["--entry","barrier_entry:run"]))
        logs.append(run_postgres.log)
    def run(c,i):
        try: c.run()
        except Exception as e: errors.append((i,e))
    ts=[threading.Thread(target=run,args=(c,i)) for i,c in enumerate(children)]
    for t in ts: t.start()
    for t in ts: t.join()
    for i,e in errors: print("ERR", i, type(e).__name__, e.retryable, e)
    print(run_postgres.sink.tables())
