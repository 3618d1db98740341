"""dlt's job client of a lakehouse: schemas, states and loads in Iceberg tables beside the data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    JobClientBase,
    LoadJob,
    RunnableLoadJob,
    StateInfo,
    StorageSchemaInfo,
    WithStateSync,
)
from dlt.common.destination.exceptions import DestinationTerminalException
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema, TSchemaTables
from dlt.common.schema.utils import get_root_table
from dlt.common.storages.load_package import LoadJobInfo, ParsedLoadJobFileName
from dlt.destinations.job_impl import ReferenceFollowupJobRequest
from dlt.destinations.utils import verify_schema_merge_disposition, verify_unsupported_merge_options

from nilus.errors import DestinationError
from nilus.runtime.engine.internals.schemas import internal_prefix
from nilus.runtime.sinks.lakehouse import fence, load
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import is_collision, with_retries
from nilus.runtime.sinks.lakehouse.layout import Layout
from nilus.runtime.sinks.lakehouse.ledger import LEDGER_PROPERTIES, Ledger, make_namespace, make_table
from nilus.runtime.sinks.lakehouse.types import evolve

if TYPE_CHECKING:
    from nilus.runtime.sinks.lakehouse.configuration import LakehouseConfiguration

_SQL_OPTIONS: Final = ("source_filter", "destination_scope", "skip_unchanged_rows")

TABLE_PROPERTIES: Final = {
    # Removals by load id drop whole files by their bounds; the default cuts bounds to 16 characters.
    "write.metadata.metrics.column._dlt_load_id": "full",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    "commit.manifest-merge.enabled": "true",
}


class LakehouseClient(JobClientBase, WithStateSync):
    """See dlt's `JobClientBase` and `WithStateSync`.

    Args:
        schema: of the source.
        config: holds the dataset's name.
        capabilities: of the destination.

    Attributes:
        lake: the warehouse, shared with everything else of the run.
        layout: what `partition-by` and `cluster-by` ask for.
    """

    lake: Lake
    layout: Layout

    def __init__(
        self, schema: Schema, config: LakehouseConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        self.namespace = config.normalize_dataset_name(schema)

    def __enter__(self) -> LakehouseClient:
        """Nothing has to be opened."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Nothing has to be closed."""

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Make the namespace, and empty tables."""
        make_namespace(self.lake, self.namespace)
        for name in truncate_tables or ():
            load.empty(self.lake, self.namespace, name)

    def is_storage_initialized(self) -> bool:
        """Tell whether the namespace is there."""
        return self.lake.has_namespace(self.namespace)

    def drop_storage(self) -> None:
        """Drop the namespace and its tables."""
        self.drop_tables(*self.lake.tables(self.namespace))
        self.lake.catalog.drop_namespace((self.namespace,))

    def drop_tables(self, *tables: str, delete_schema: bool = True) -> None:
        """Drop tables and delete their files, as a full refresh asks for.

        Args:
            tables: their names; those that are not there are passed over.
            delete_schema: whether the stored schemas of the source go as well.
        """
        from pyiceberg.exceptions import NoSuchTableError, RESTError

        for name in tables:
            if self.lake.table(self.namespace, name) is None:
                continue
            try:
                self.lake.catalog.purge_table((self.namespace, name))
            except (NotImplementedError, RESTError):  # some services never delete files on request
                self.lake.catalog.drop_table((self.namespace, name))
            except NoSuchTableError:
                continue
        versions = self._ledger(self.schema.version_table_name)
        if delete_schema and versions.exists:
            column = self._name("schema_name")
            versions.update(lambda rows: [row for row in rows if row[column] != self.schema.name])

    def verify_schema(
        self, only_tables: Iterable[str] | None = None, new_jobs: Iterable[ParsedLoadJobFileName] | None = None
    ) -> list[PreparedTableSchema]:
        """See `JobClientBase`.

        Options of a merge that are SQL, and a layout that no table can have, are refused here: nothing is loaded.
        """
        jobs = list(new_jobs or ())
        tables = super().verify_schema(only_tables, jobs)  # type: ignore[arg-type]
        for error in (
            *verify_schema_merge_disposition(self.schema, tables, self.capabilities, warnings=False),
            *verify_unsupported_merge_options(self.schema, tables, self.capabilities, "lakehouse", _SQL_OPTIONS),
        ):
            raise error
        loaded = {job.table_name for job in jobs}
        self._check_layout([table for table in tables if table["name"] in loaded and not self._is_internal(table)])
        return tables

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,
    ) -> TSchemaTables | None:
        """Make the tables that are missing, add columns to the others, and keep the schema."""
        applied = super().update_stored_schema(only_tables, expected_update, force)  # type: ignore[arg-type]
        for name in sorted(only_tables if only_tables is not None else self.schema.tables):
            self._update_table(name)
        if self.get_stored_schema_by_hash(self.schema.stored_version_hash) is None:
            row = StorageSchemaInfo(
                version_hash=self.schema.stored_version_hash,
                schema_name=self.schema.name,
                version=self.schema.version,
                engine_version=self.schema.ENGINE_VERSION,
                inserted_at=datetime.now(UTC),
                schema=json.dumps(self.schema.to_dict()),
            )
            self._ledger(self.schema.version_table_name).add([row.to_normalized_mapping(self.schema.naming)])
        return applied

    def should_truncate_table_before_load(self, table_name: str) -> bool:  # noqa: ARG002 - dlt's interface
        """Never: a table that is replaced keeps its rows until the new ones take their place."""
        return False

    def create_load_job(
        self,
        table: PreparedTableSchema,  # noqa: ARG002 - dlt's interface
        file_path: str,
        load_id: str,  # noqa: ARG002 - dlt's interface
        restore: bool = False,  # noqa: ARG002 - dlt's interface
    ) -> LoadJob:
        """A load file alone does nothing; when all of a table and its child tables are there, one job loads them."""
        if ReferenceFollowupJobRequest.is_reference_job(file_path):
            return TableLoadJob(file_path)
        return FileJob(file_path)

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],  # noqa: ARG002 - dlt's interface
        completed_table_chain_jobs: Sequence[LoadJobInfo] | None = None,
    ) -> list[FollowupJobRequest]:
        """Return the one job that loads a table and its child tables."""
        paths = [str(job.file_path) for job in completed_table_chain_jobs or ()]
        return [ReferenceFollowupJobRequest(Path(paths[0]).name, paths)] if paths else []

    def complete_load(self, load_id: str) -> None:
        """Write the row of a complete load: from then on its rows count."""
        row = {
            "load_id": load_id,
            "schema_name": self.schema.name,
            "status": 0,
            "inserted_at": datetime.now(UTC),
            "schema_version_hash": self.schema.version_hash,
        }
        loads = dataclasses.replace(
            self._ledger(self.schema.loads_table_name), guard=lambda: fence.check(self.lake, self.namespace)
        )
        loads.add([{self._name(key): value for key, value in row.items()}])

    def get_stored_schema(self, schema_name: str | None = None) -> StorageSchemaInfo | None:
        """See `WithStateSync`."""
        equal = {self._name("schema_name"): schema_name} if schema_name else {}
        return self._newest_schema(equal)

    def get_stored_schema_by_hash(  # type: ignore[override] # dlt's own clients return None as well
        self, version_hash: str
    ) -> StorageSchemaInfo | None:
        """See `WithStateSync`."""
        return self._newest_schema({self._name("version_hash"): version_hash})

    def get_stored_state(self, pipeline_name: str) -> StateInfo | None:
        """See `WithStateSync`. The state of the newest load that is complete."""
        status, load_id, of_state = self._name("status"), self._name("load_id"), self._name("_dlt_load_id")
        loads = self._ledger(self.schema.loads_table_name).rows()
        landed = {row[load_id] for row in loads if row[status] == 0}
        states = self._ledger(self.schema.state_table_name).rows(**{self._name("pipeline_name"): pipeline_name})
        complete = [row for row in states if row[of_state] in landed]
        if not complete:
            return None
        newest = max(complete, key=lambda row: float(row[of_state]))
        return StateInfo.from_normalized_mapping(newest, self.schema.naming)

    def load_chain(self, table_name: str, files: Sequence[Path], load_id: str) -> None:
        """Load the files of a table and its child tables, each as one snapshot."""
        root = self.prepare_load_table(str(get_root_table(self.schema.tables, table_name)["name"]))
        load.load_chain(self.lake, self.namespace, self.schema, root, files, load_id, self.capabilities)

    def _newest_schema(self, equal: dict[str, str]) -> StorageSchemaInfo | None:
        rows = self._ledger(self.schema.version_table_name).rows(**equal)
        if not rows:
            return None
        newest = max(rows, key=lambda row: row[self._name("inserted_at")])
        return StorageSchemaInfo.from_normalized_mapping(newest, self.schema.naming)

    def _update_table(self, name: str) -> None:
        prepared = self.prepare_load_table(name)
        columns = [column for column in prepared["columns"].values() if column.get("data_type")]
        internal = self._is_internal(prepared)
        table = self.lake.table(self.namespace, name)
        if table is None:
            properties = LEDGER_PROPERTIES if internal else TABLE_PROPERTIES
            layout = Layout() if internal else self._layout()
            make_table(self.lake, self.namespace, name, columns, properties, layout)
        else:
            with_retries(lambda: self._existing(name), lambda table: evolve(table, columns))
        if self.layout and not internal:
            with_retries(lambda: self._existing(name), self._arrange)

    def _arrange(self, table: Any) -> None:
        with table.transaction() as transaction:
            self._layout().arrange(transaction, table)

    def _existing(self, name: str) -> Any:
        return self.lake.catalog.load_table((self.namespace, name))

    def _layout(self) -> Layout:
        """Return the layout with the names columns have in the tables."""
        normalize = self.schema.naming.normalize_path
        return Layout(
            tuple({**entry, "column": normalize(entry["column"])} for entry in self.layout.partition_by),
            tuple(normalize(column) for column in self.layout.cluster_by),
        )

    def _check_layout(self, tables: Sequence[PreparedTableSchema]) -> None:
        if not (self.layout and tables):
            return
        known = {name for table in tables for name, column in table["columns"].items() if column.get("data_type")}
        missing = sorted(self._layout().columns - known)
        if missing:
            raise DestinationError(
                "partition-by or cluster-by names columns that no table of the source has",
                expected=f"columns among {', '.join(sorted(known))}",
                found=", ".join(missing),
                remedy="correct the names, or give the columns their types by type-hints if they have no values yet",
            )

    def _is_internal(self, table: Any) -> bool:
        return str(table["name"]).startswith(internal_prefix(self.schema))

    def _ledger(self, name: str) -> Ledger:
        columns: Any = self.schema.tables[name]["columns"].values() if name in self.schema.tables else ()
        return Ledger(self.lake, self.namespace, name, tuple(columns))

    def _name(self, name: str) -> str:
        return self.schema.naming.normalize_identifier(name)


class FileJob(RunnableLoadJob, HasFollowupJobs):
    """Stands for one load file and does nothing; a job that were finished from the start would cost dlt a second."""

    def run(self) -> None:
        """Called by dlt, in one of its threads."""


class _RefusedLoadError(DestinationTerminalException):
    """Another try of a job cannot help; what it was raised from says why."""


class TableLoadJob(RunnableLoadJob):
    """Loads all files of a table and its child tables.

    A subclass: `_job_client`, `_file_path` and `_load_id` are dlt's.
    """

    def run(self) -> None:
        """Called by dlt, in one of its threads."""
        client: LakehouseClient = self._job_client  # type: ignore[assignment]
        paths = [Path(path) for path in ReferenceFollowupJobRequest.resolve_references(self._file_path)]
        try:
            client.load_chain(self.load_table_name, paths, self._load_id)
        except DestinationError as error:
            has_waited = error.__cause__ is not None and is_collision(error.__cause__)
            if error.retryable and not has_waited:
                raise
            raise _RefusedLoadError(str(error)) from error  # dlt tries everything else five times
