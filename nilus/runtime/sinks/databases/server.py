"""Databases with a server, whose own locks keep runs of ours out of each other's way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlt import Pipeline

from nilus.runtime.sinks.base import Sink
from nilus.runtime.sinks.databases.waiting import wait_for

_REMEDY = "see which run it is, or run fewer tasks into one schema at once"


class ServerSink(Sink):
    """A sink with locks that have names. Takes what `Sink` takes."""

    @abstractmethod
    def take_lock(self, client: Any, dataset: str, what: str) -> bool:
        """Try to take a lock that goes with the connection, hence with this process.

        Args:
            client: an open SQL client.
            dataset: the schema.
            what: what is locked in it: a source's name, or nothing for its tables.

        Returns:
            Whether this connection has it now.
        """

    @contextmanager
    def staging(self, pipeline: Pipeline, source: str) -> Iterator[None]:
        """See `Sink`."""
        with self._lock(pipeline, f"another run of source {source} that loads into schema", source):
            yield

    @contextmanager
    def tables(self, pipeline: Pipeline) -> Iterator[None]:
        """See `Sink`."""
        with self._lock(pipeline, "another run that makes tables in schema", ""):
            yield

    @contextmanager
    def _lock(self, pipeline: Pipeline, whom: str, what: str) -> Iterator[None]:
        with pipeline.sql_client() as client:
            dataset = client.dataset_name
            wait_for(lambda: self.take_lock(client, dataset, what), f"{whom} {dataset}", remedy=_REMEDY)
            yield
