"""The rows of a load in tables made of files, and in Delta tables: counted and removed by load id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.destination.exceptions import DestinationUndefinedEntity

from nilus.runtime.sinks.files.file_names import load_of

if TYPE_CHECKING:
    from nilus.runtime.sinks.files.client import FilesClient

_LOAD_ID = "_dlt_load_id"
_CHUNK_BYTES = 1 << 20


def count(client: FilesClient, table: str, load_id: str) -> int:
    """Return how many rows of a load are in a table."""
    if client.has_delta_log(table):
        import pyarrow.dataset as ds  # type: ignore[import-untyped]

        found = _delta(client, table)
        if _LOAD_ID not in [field.name for field in found.schema().fields]:
            return 0
        return int(found.to_pyarrow_dataset().count_rows(filter=ds.field(_LOAD_ID) == load_id))
    return sum(_rows_of(client, path) for path in files_of(client, table, load_id))


def remove(client: FilesClient, table: str, load_id: str) -> int:
    """Remove the rows of a load from a table, and return how many there were."""
    if client.has_delta_log(table):
        if not count(client, table, load_id):
            return 0
        return int(_delta(client, table).delete(f"{_LOAD_ID} = '{load_id}'")["num_deleted_rows"] or 0)
    removed = 0
    for path in files_of(client, table, load_id):
        removed += _rows_of(client, path)
        client.delete_file(path)
    return removed


def files_of(client: FilesClient, table: str, load_id: str) -> list[str]:
    """Return the files that a load put into a table made of files."""
    return [path for path in client.table_files(table) if load_of(path) == load_id]


def _delta(client: FilesClient, table: str) -> Any:
    from deltalake import DeltaTable
    from dlt.common.libs.deltalake import deltalake_storage_options

    location = client.get_open_table_location("delta", table)
    options = deltalake_storage_options(client.config.credentials, client.config.deltalake_storage_options)
    if not DeltaTable.is_deltatable(location, options):
        raise DestinationUndefinedEntity(table)
    return DeltaTable(location, storage_options=options)


def _rows_of(client: FilesClient, path: str) -> int:
    """Return how many rows a file holds."""
    with client.fs_client.open(path, "rb") as file:
        if path.endswith(".parquet"):
            import pyarrow.parquet as pq  # type: ignore[import-untyped]

            return int(pq.ParquetFile(file).metadata.num_rows)
        if path.endswith(".csv"):
            from pyarrow import csv

            options = csv.ParseOptions(newlines_in_values=True)
            return sum(batch.num_rows for batch in csv.open_csv(file, parse_options=options))
        lines, end = 0, b"\n"
        while chunk := file.read(_CHUNK_BYTES):
            lines += chunk.count(b"\n")
            end = chunk[-1:]
        return lines + (end != b"\n")
