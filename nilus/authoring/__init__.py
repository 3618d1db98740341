"""For the authors of sources: the same run as in Airflow, on a laptop and without Airflow."""
