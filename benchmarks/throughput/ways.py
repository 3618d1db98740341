"""The ways to get the rows of `source/shop.py` into a sink, each as a function that returns what is timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCE = Path(__file__).parent / "source"
DATASET, TABLE = "raw", "items"


@dataclass(frozen=True)
class Case:
    """What is loaded and where to.

    Attributes:
        shape: of the rows, a name in `SHAPES` of the source.
        rows: how many.
        sink: `duckdb`, `postgres`, `parquet` or `iceberg`.
        folder: private and empty.
        postgres: address of an empty database.
    """

    shape: str
    rows: int
    sink: str
    folder: Path
    postgres: str

    @property
    def address(self) -> str:
        """The sink's address as a workflow has it."""
        return {
            "duckdb": f"duckdb:///{self.folder}/sink.duckdb",
            "postgres": self.postgres,
            "parquet": f"file://{self.folder}/lake",
            "iceberg": f"iceberg://{self.folder}/lake",
        }[self.sink]

    def generate(self) -> Iterator[dict[str, Any]]:
        """Return the rows."""
        rows: Iterator[dict[str, Any]] = _source().SHAPES[self.shape](self.rows)
        return rows


def _source() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shapes", SOURCE / "shop.py")
    if spec is None or spec.loader is None:
        raise ImportError(str(SOURCE))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def job(case: Case) -> Any:
    """Return the job of a run of this package."""
    from nilus.protocol.job import Job, Place, Run, SinkSpec, SourceSpec

    (case.folder / "work").mkdir()
    return Job(
        run=Run(
            state_key="bench", dag_id="bench", task_id="load", map_index=-1, run_id="manual__1", run_type="manual",
            try_number=1, repository="https://example.org/sources", commit="c0ffee" + "0" * 34,
        ),
        source=SourceSpec(address=f"custom://Shop?shape={case.shape}&rows={case.rows}", table=TABLE),
        sink=SinkSpec(address=case.address, display_address=case.sink, dataset=DATASET, strategy="append"),
        place=Place(checkout=str(SOURCE), base_dir=str(SOURCE), work_dir=str(case.folder / "work")),
    )  # fmt: skip


class Silent:
    """Stands where the channel to the parent is."""

    def send(self, event: Any) -> None:
        """Say nothing."""


def ours(case: Case) -> Callable[[], Any]:
    """A run of this package: what earlier runs left is looked for, and the journal written."""
    from nilus.runtime.pipeline import run

    made = job(case)
    return lambda: run(made, Silent())  # type: ignore[arg-type]


def as_it_comes(case: Case) -> Callable[[], Any]:
    """Plain dlt as it comes; it writes JSON lines into folders, unless told otherwise."""
    return _plain(case, **({"loader_file_format": "parquet"} if case.sink == "parquet" else {}))


def best(case: Case) -> Callable[[], Any]:
    """Plain dlt with the best settings there are for a source that yields rows one by one."""
    import dlt

    dlt.config["data_writer.disable_compression"] = True
    dlt.config["data_writer.buffer_max_items"] = 50_000
    return _plain(case, loader_file_format="csv" if case.sink == "postgres" else "parquet")


def _plain(case: Case, **options: Any) -> Callable[[], Any]:
    import dlt

    dlt.config["runtime.dlthub_telemetry"] = False
    lake = f"file://{case.folder}/lake"
    if case.sink == "iceberg":
        catalog = {"type": "sql", "uri": f"sqlite:///{case.folder}/lake.db", "warehouse": lake}
        dlt.secrets["iceberg_catalog.iceberg_catalog_name"] = "lake"
        dlt.secrets["iceberg_catalog.iceberg_catalog_type"] = "sql"
        dlt.secrets["iceberg_catalog.iceberg_catalog_config"] = catalog
    destination: Any = {
        "duckdb": lambda: dlt.destinations.duckdb(f"{case.folder}/sink.duckdb"),
        "postgres": lambda: dlt.destinations.postgres(case.postgres),
        "parquet": lambda: dlt.destinations.filesystem(lake),
        "iceberg": lambda: dlt.destinations.filesystem(lake),
    }[case.sink]()
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=str(case.folder / "pipelines"), destination=destination, dataset_name=DATASET
    )
    table_format: Any = "iceberg" if case.sink == "iceberg" else None
    items = dlt.resource(case.generate(), name=TABLE, max_table_nesting=0, table_format=table_format)
    return lambda: pipeline.run(items, **options)


def floor(case: Case) -> Callable[[], Any]:
    """No more than has to be done for DuckDB: Arrow tables of 50,000 rows, inserted. Types are what comes out."""
    import duckdb
    import orjson
    import pyarrow as pa  # type: ignore[import-untyped]

    decimal = pa.decimal128(38, 9)

    def tables() -> Iterator[Any]:
        left = case.generate()
        while collected := list(islice(left, 50_000)):
            if "details" in collected[0]:
                for row in collected:
                    row["details"] = orjson.dumps(row["details"]).decode()
            made = pa.Table.from_pylist(collected)
            index = made.schema.get_field_index("total")
            yield made if index < 0 else made.set_column(index, "total", made.column(index).cast(decimal))

    def insert() -> None:
        with duckdb.connect(str(case.folder / "sink.duckdb")) as connection:
            connection.execute(f"CREATE SCHEMA {DATASET}")
            name = f"{DATASET}.{TABLE}"
            for number, made in enumerate(tables()):
                connection.register("made", made)
                connection.execute(f"INSERT INTO {name} FROM made" if number else f"CREATE TABLE {name} AS FROM made")

    return insert


WAYS: dict[str, Callable[[Case], Callable[[], Any]]] = {
    "ours": ours,
    "dlt, best": best,
    "dlt, as it comes": as_it_comes,
    "floor": floor,
}


def can(way: str, shape: str, sink: str) -> bool:
    """Tell whether a way is defined: the floor is DuckDB's, and takes rows one by one whose columns have one type."""
    return way != "floor" or (sink == "duckdb" and shape not in ("mixed", "lists", "frames", "arrow"))


def count(case: Case) -> int:
    """Return how many rows the sink has."""
    if case.sink == "parquet":
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        files = (case.folder / "lake" / DATASET / TABLE).rglob("*.parquet")
        return sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    if case.sink == "iceberg":
        import pyarrow.parquet as pq

        # Everything was appended, so every data file counts.
        files = (file for file in (case.folder / "lake").rglob("*.parquet") if TABLE in file.parts)
        return sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    statement = f"SELECT count(*) FROM {DATASET}.{TABLE}"  # noqa: S608
    if case.sink == "duckdb":
        import duckdb

        with duckdb.connect(str(case.folder / "sink.duckdb")) as database:
            return int(database.execute(statement).fetchall()[0][0])
    import psycopg2

    connection = psycopg2.connect(case.postgres)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.fetchall()[0][0])
    finally:
        connection.close()
