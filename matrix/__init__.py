"""The versions of Airflow and Python that this package is installed on and tested with: see `docs/development.md`."""
