import time
def test_it(real_airflow):
    print("start", real_airflow.seconds_to_start)
    print(real_airflow.get("/monitor/health"))
