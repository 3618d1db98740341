"""What every sink answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from dlt import Pipeline

from nilus.runtime.job import SinkSpec
from nilus.runtime.journal import Journal, SqlJournal


class Sink(ABC):
    """One destination of one run.

    Args:
        spec: the validated `sink` block.
    """

    name: ClassVar[str]
    loader_file_format: ClassVar[str | None] = None

    def __init__(self, spec: SinkSpec) -> None:
        self.spec = spec

    @abstractmethod
    def destination(self) -> Any:
        """Return dlt's destination, credentials included.

        Raises:
            DestinationError: the address lacks something.
        """

    @property
    def file_format(self) -> str | None:
        """The format of load files: the workflow's, or the best this sink knows, or dlt's choice (None)."""
        return self.spec.loader_file_format or self.loader_file_format

    def journal(self, pipeline: Pipeline) -> Journal:
        """Return the journal that lives in this sink's dataset."""
        return SqlJournal(pipeline)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the sink for the time of the block, where only one process may write; elsewhere nothing."""
        yield
