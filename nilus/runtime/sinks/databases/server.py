"""Databases with a server, whose own locks keep runs of ours out of each other's way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from dlt import Pipeline

from nilus.runtime.recovery.sql_journal import SqlRows
from nilus.runtime.sinks.base import Sink, StagingLock
from nilus.runtime.sinks.databases.waiting import wait_for

_REMEDY = "see which run it is, or run fewer tasks into one schema at once"


class ServerSink(Sink):
    """A sink with locks that have names. Takes what `Sink` takes."""

    @abstractmethod
    def take_lock(self, client: Any, name: str) -> bool:
        """Try to take a lock that goes with the connection, hence with this process.

        Args:
            client: an open SQL client.
            name: of the lock.

        Returns:
            Whether this connection has it now.
        """

    @abstractmethod
    def holder(self, client: Any, name: str) -> str | None:
        """Return the session that holds a lock, on the word of the server; None if none does, or it is not ours to see.

        Args:
            client: an open SQL client.
            name: of the lock.
        """

    @abstractmethod
    def end_session(self, client: Any, session: str) -> None:
        """End a session, with the locks it holds.

        Args:
            client: an open SQL client.
            session: what `holder` returned.
        """

    @contextmanager
    def staging(self, pipeline: Pipeline, tables: Collection[str]) -> Iterator[StagingLock]:
        """See `Sink`. The locks are taken in the order of their names, so that no two runs wait for each other.

        A worker whose load was taken over, and which is paused, keeps its session: that is ended.
        """
        with pipeline.sql_client() as client:
            dataset = client.dataset_name
            names = {table: f"nilus\0{dataset}\0{table}" for table in sorted(tables)}
            for table, name in names.items():
                wait_for(
                    lambda name=name: self._take_or_end(pipeline, client, name),  # type: ignore[misc]
                    f"another run that loads into table {dataset}.{table}",
                    remedy=_REMEDY,
                )
            last = next(reversed(names.values()))
            session = self.holder(client, last)
            yield StagingLock(session, lambda other: self.holder(other, last) == session)

    @contextmanager
    def tables(self, pipeline: Pipeline) -> Iterator[None]:
        """See `Sink`."""
        with pipeline.sql_client() as client:
            dataset = client.dataset_name
            whom = f"another run that makes tables in schema {dataset}"
            wait_for(lambda: self.take_lock(client, f"nilus\0{dataset}\0"), whom, remedy=_REMEDY)
            yield

    def _take_or_end(self, pipeline: Pipeline, client: Any, name: str) -> bool:
        if self.take_lock(client, name):
            return True
        session = self.holder(client, name)
        if session is not None and SqlRows(pipeline).is_taken_session(session):
            self.end_session(client, session)
        return False
