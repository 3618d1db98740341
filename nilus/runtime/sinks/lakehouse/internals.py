"""What the sink counts on of pyiceberg that is not its public API, behind functions that say what they do.

Read in pyiceberg 0.12. Everything that is counted on is listed with its signature in `tests/internals.txt`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nilus.runtime.sinks.lakehouse.filter import everything

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table, Transaction
    from pyiceberg.table.update.snapshot import ExpireSnapshots, _FastAppendFiles, _OverwriteFiles


def ignore_machine_settings() -> None:
    """Keep pyiceberg in this process, a run's own, from `.pyiceberg.yaml` and `PYICEBERG_*`, read wherever it looks.

    Raises:
        ImportError: pyiceberg is not installed.
    """
    from pyiceberg.utils.config import Config

    Config._from_configuration_files = staticmethod(dict)  # type: ignore[method-assign]
    Config._from_environment_variables = staticmethod(lambda config: config)  # type: ignore[method-assign]


def data_files(table: Table, rows: pa.Table) -> Iterable[DataFile]:
    """Write rows as data files of a table, each partition apart, and yield the files; nothing is committed."""
    from pyiceberg.io.pyarrow import _dataframe_to_data_files

    return _dataframe_to_data_files(table_metadata=table.metadata, df=rows, io=table.io, write_uuid=uuid.uuid4())


def batches(table: Table, task: FileScanTask, schema: Schema) -> Iterator[pa.RecordBatch]:
    """Return the rows of one data file under a schema, a batch at a time, less those that delete files take away."""
    from pyiceberg.io.pyarrow import ArrowScan

    scan = ArrowScan(table_metadata=table.metadata, io=table.io, projected_schema=schema, row_filter=everything())
    return scan.to_record_batches([task])


def append_files(transaction: Transaction, summary: Mapping[str, str]) -> _FastAppendFiles:
    """Return the snapshot that adds data files, as the table's properties want it: manifests are merged, or not.

    Args:
        transaction: of the table.
        summary: what the snapshot says of itself.
    """
    return transaction._append_snapshot_producer(dict(summary))


def look_at_all_manifests(snapshot: _OverwriteFiles) -> None:
    """Have a snapshot look at all manifests for the files that go; what others add meanwhile is a conflict.

    0.11 has no such method on this class and needs none: it looks at every manifest, and never commits on top of
    another snapshot than the one it started from.
    """
    if hasattr(snapshot, "delete_by_predicate"):
        snapshot.delete_by_predicate(everything())


def has_expired(expire: ExpireSnapshots) -> bool:
    """Tell whether there are snapshots to be forgotten; a commit that forgets none would fail."""
    found: Any = expire._snapshot_ids_to_expire
    return bool(found)
