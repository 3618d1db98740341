"""`airflow nilus state …` and `nilus-state …`: what people do with records."""
