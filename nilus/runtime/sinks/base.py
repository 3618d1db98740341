"""What every sink answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from dlt import Pipeline

from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.columns.chunk_files import TableWriter
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.recovery.sql_journal import SqlRows
from nilus.values.address import Address
from nilus.values.redaction import secret_values

ATOMIC: Final[dict[str, Any]] = {"replace_strategy": "insert-from-staging", "supports_transactions": True}
"""Arguments of a SQL destination: new rows of a table that is replaced, or merged into, take the place of the old ones
in one transaction. By itself dlt empties a table before it loads the new rows, and on DuckDB merges without a
transaction: a load that fails would leave a table with rows missing."""


@dataclass(frozen=True)
class StagingLock:
    """The hold on the staging tables of a load.

    Attributes:
        session: the session that has it; None where there is none to speak of.
        held: tells, through another SQL client, whether it is still held: a lock ends with its session.
    """

    session: str | None = None
    held: Callable[[Any], bool] = lambda _client: True


class Sink(ABC):
    """One destination of one run.

    Args:
        spec: the validated `sink` block.

    Attributes:
        name: dlt's name of the destination.
        best_file_format: the format of load files unless the workflow names one; None leaves it to dlt.
        best_file_rows: rows of a load file unless the workflow says how many.
        keeps_files: load files are what is kept, not only what is loaded from: they are compressed.
        refusals: patterns of what the destination says when another try cannot help, case ignored.
        exactly_once: whether the journal can remove what an interrupted load left. Where it cannot, a run that appends
            and keeps state is refused, unless its author said `at_least_once`.
        supports: names of the options that only some sinks have, those that this one has: `partition_by`, `cluster_by`,
            `staging_bucket`.
        merge_remedy: what to do where the destination cannot merge as asked.
        merges_itself: whether the destination is told to merge and does it its own way.
        counts_name_bytes: the longest name has so many bytes of UTF-8, not characters.
        arrow_as_csv: whether Arrow tables may be loaded as CSV, if the workflow asks for it: it holds no bytes.
    """

    name: ClassVar[str]
    best_file_format: ClassVar[str | None] = None
    best_file_rows: ClassVar[int] = 100_000
    keeps_files: ClassVar[bool] = True
    refusals: ClassVar[tuple[str, ...]] = ()
    exactly_once: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = frozenset()
    merge_remedy: ClassVar[str] = "choose a strategy that the destination has"
    merges_itself: ClassVar[bool] = False
    counts_name_bytes: ClassVar[bool] = False
    arrow_as_csv: ClassVar[bool] = False

    def __init__(self, spec: SinkSpec) -> None:
        self.spec = spec

    @abstractmethod
    def destination(self) -> Any:
        """Return dlt's destination, credentials included; a load that fails must leave its tables whole (`ATOMIC`).

        Raises:
            DestinationError: the address lacks something.
        """

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts in the address and the credentials that no message may hold."""
        return (*Address.parse(self.spec.address).secrets, *secret_values(self.spec.credentials))

    def file_format(self, destination: Any) -> str | None:
        """Return the format of load files.

        Args:
            destination: what `destination` returned.

        Raises:
            DestinationError: the workflow names one that the destination does not load.
        """
        wanted = self.spec.loader_file_format
        if wanted is None:
            return self.best_file_format
        known = destination.capabilities().supported_loader_file_formats
        if wanted not in known:
            raise DestinationError(
                f"{self.name} does not load files of the format {wanted}",
                expected=f"loader-file-format {', '.join(sorted(known))}",
                found=wanted,
                remedy="correct sink.options.loader-file-format, or leave it out: the best format is chosen",
            )
        return wanted

    @property
    def file_rows(self) -> int:
        """The largest number of rows of a load file."""
        return self.spec.loader_file_size or self.best_file_rows

    @property
    def table_writer(self) -> type[TableWriter]:
        """What writes parquet files as the destination loads them."""
        return TableWriter

    def journal(self, pipeline: Pipeline) -> Journal:
        """Return the journal that lives in this sink's dataset."""
        return Journal(SqlRows(pipeline))

    @property
    def table_format(self) -> str | None:
        """The format of tables that name none themselves: `delta`, `iceberg`; None for the destination's own."""
        return None

    def dataset(self, pipeline: Pipeline) -> str:
        """Return the name of the dataset as the destination has it.

        Args:
            pipeline: an active dlt pipeline.
        """
        return str(pipeline.sql_client().dataset_name)

    def staging_files(self) -> Any:
        """Return dlt's destination of the bucket that files are put into to be loaded from there; None without one.

        Raises:
            DestinationError: a driver is not installed.
        """
        return None

    def after_load(self) -> None:  # noqa: B027 - nothing is left to do as a rule
        """Do what is to be done after a load that succeeded.

        Raises:
            DestinationError: that failed.
        """

    def finish_loads(self, pipeline: Pipeline) -> None:  # noqa: B027 - nothing is left to do as a rule
        """Do what is left to do of loads that are complete, where their last steps may have been interrupted.

        Args:
            pipeline: an active dlt pipeline.
        """

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the sink for the time of the block, where only one process may write; elsewhere nothing."""
        yield

    @contextmanager
    def staging(
        self,
        pipeline: Pipeline,  # noqa: ARG002 - for those that need it
        tables: Collection[str],  # noqa: ARG002 - for those that need it
    ) -> Iterator[StagingLock]:
        """Hold the staging tables of some tables for the time of the block.

        dlt puts the rows of tables that are replaced or merged into tables that belong to schema and table, whichever
        source they come from; two runs at once would mix theirs. Nothing is done where `exclusive` keeps others out
        anyway.

        Args:
            pipeline: an active dlt pipeline.
            tables: the names of the tables that are replaced or merged, one at least.

        Raises:
            DestinationError: another run held them for too long.
        """
        yield StagingLock()

    @contextmanager
    def tables(self, pipeline: Pipeline) -> Iterator[None]:  # noqa: ARG002 - for those that need it
        """Hold off other runs that make or change tables of the dataset for the time of the block.

        Args:
            pipeline: an active dlt pipeline.

        Raises:
            DestinationError: another run held them for too long.
        """
        yield

    def is_collision(self, errors: Sequence[BaseException]) -> bool:  # noqa: ARG002 - for those that need it
        """Tell whether a load failed because another run made or changed the same tables in that moment.

        Args:
            errors: what was raised, and what it was raised from.
        """
        return False
