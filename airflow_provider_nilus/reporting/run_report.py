"""What a run did, as far as it came: read by assets, lineage, links and metrics once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_nilus.reporting.table_name import TableName
    from nilus.protocol.events import Adopted, Loaded
    from nilus.repository.fetch import Checkout
    from nilus.workflow.models import Workflow


@dataclass
class Outcome:
    """What is known of a run; filled in as it goes.

    Attributes:
        source: the source's address as it may be shown, without its query.
        source_table: `source-table`.
        masked: the columns that are masked.
        repository, commit, ref: what was checked out; the repository's URL is without credentials.
        base_dir: the sources' folder in the repository.
        documentation: what the source's class says of itself.
        cached: whether the checkout was in the cache.
        seconds: how long each step took.
        sink: the sink's address as it may be shown.
        loaded: the last event of a run that went well.
        adopted: loads of other runs that died before they could tell of them.
        peak_memory_bytes: of the child.
    """

    source: str = ""
    source_table: str = ""
    masked: list[str] = field(default_factory=list)
    repository: str = ""
    commit: str = ""
    ref: str | None = None
    base_dir: str = ""
    documentation: str = ""
    cached: bool | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    sink: str = ""
    loaded: Loaded | None = None
    adopted: list[Adopted] = field(default_factory=list)
    peak_memory_bytes: int | None = None

    def read(self, workflow: Workflow) -> None:
        """Note what is to be read."""
        from nilus.values.address import fold

        self.source = fold(workflow.source.address).partition("?")[0]
        self.source_table = workflow.source.table
        self.masked = list(workflow.source.mask)
        self.base_dir = workflow.repo.base_dir or ""

    def checked_out(self, checkout: Checkout) -> None:
        """Note which code is run."""
        self.repository, self.commit, self.ref = checkout.url, checkout.commit, checkout.ref_name
        self.cached = checkout.cached
        self.seconds["checkout"] = checkout.seconds

    def has_loaded(self, loaded: Loaded) -> None:
        """Note what was loaded."""
        self.loaded = loaded
        self.seconds.update(loaded.seconds)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows came into each table, adopted loads included."""
        rows = {name: int(table["rows"]) for name, table in self.loaded.tables.items()} if self.loaded else {}
        for load in self.adopted:
            for name, count in load.rows.items():
                rows[name] = rows.get(name, 0) + count
        return rows

    @property
    def load_ids(self) -> list[str]:
        """The loads that brought the rows, adopted ones first."""
        return [load.load_id for load in self.adopted] + (self.loaded.load_ids if self.loaded else [])

    def name(self, table: str) -> TableName:
        """Return what one of the tables is called outside of the sink."""
        from airflow_provider_nilus.reporting.table_name import table_name

        return table_name(self.sink, self.loaded.dataset if self.loaded else "", table)

    def event_extra(self, table: str) -> dict[str, Any]:
        """Return what the asset event of a table tells: small JSON."""
        interval = self.loaded.interval if self.loaded else None
        return {
            "rows": self.rows.get(table, 0),
            "load_ids": self.load_ids,
            "commit": self.commit,
            "repository": self.repository,
            "interval": list(interval) if interval else None,
        }
