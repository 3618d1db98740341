import time
from pathlib import Path
HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
def show(real_airflow, dag, run_id, task, n=1):
    for l in real_airflow.task_log(dag, run_id, task, n): print(l.fields.get("timestamp","")[14:23], l.level, l.logger, "|", l.event[:300], {k:v for k,v in l.fields.items() if k not in("level","logger","event","timestamp","filename","lineno")} and "+++")
def test_it(real_airflow, shop):
    print("start", real_airflow.seconds_to_start)
    t=time.time()
    real_airflow.add_dags(PROJECT/"dags_examples/git_history.py", *sorted((HERE/"dags").glob("*.py")))
    print("dags known", time.time()-t)
    shop.project.commit({"a":"1\n"}, "first")
    for dag, task in (("git_history","load_history"),("talking","load")):
        t=time.time()
        r=real_airflow.trigger(dag)
        run=real_airflow.wait(dag,r)
        print(run, time.time()-t)
        print(real_airflow.xcom(dag,r,task))
        show(real_airflow, dag, r, task)
    print(real_airflow.variable("nilus__git_history.load_history"))
    t=time.time()
    r=real_airflow.trigger("failing"); r2=real_airflow.trigger("careless")
    run=real_airflow.wait("failing",r)
    print(run, time.time()-t)
    for task in ("raises","names_no_class"): print(task); show(real_airflow,"failing",r,task)
    run=real_airflow.wait("careless",r2)
    print(run, time.time()-t)
    for task in ("succeeds","fails"): print(task); show(real_airflow,"careless",r2,task)
