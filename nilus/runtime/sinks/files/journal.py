"""The journal as files, for sinks that are folders: `_airflow_loads/<pipeline>/<load id>.json`.

An entry appears at once and complete: by rename on a local disk, by a PUT in an object store. Listings of the object
stores supported show what was written before they began, so of two runs that enter and then look, one at least sees the
other. A folder holds the entries of one state key: looking costs a listing of its loads, and one of `_dlt_loads`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from dlt import Pipeline

from nilus.runtime.engine import pipeline_state
from nilus.runtime.recovery.journal import MOMENTS, TABLE, Row
from nilus.runtime.sinks.files import rows as file_rows
from nilus.runtime.sinks.files.client import FilesClient
from nilus.runtime.sinks.files.fence import SUFFIX, entry_path

log = logging.getLogger("nilus")

_SEPARATOR = "__"
_LOOKED_AT_AGAIN = timedelta(days=1)
"""How long after a sweep a load is looked at again: far longer than Airflow lets a lost worker pass for alive, and so
short that few loads are."""


class FileRows:
    """See `nilus.runtime.recovery.journal.Rows` for the methods.

    Args:
        pipeline: an active dlt pipeline; its destination and dataset are used.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._incomplete: set[str] = set()
        self._swept: list[Row] = []

    def insert(self, rows: list[Row]) -> None:
        """See `Rows`."""
        with self._client() as client:
            client.initialize_storage()
            for row in rows:
                folder = pipeline_state.pipeline_name(row["state_key"])
                client.write_document(entry_path(client, folder, row["load_id"]), row)

    def open_entries(self, state_key: str, newer_than: str | None) -> list[tuple[Row, bool]]:
        """See `Rows`."""
        with self._client() as client:
            entered = _load_ids(client, state_key)
            if not entered:
                return []
            landed = landed_loads(client)
            wanted = [
                load_id
                for load_id in entered
                if load_id not in landed or newer_than is None or float(load_id) > float(newer_than)
            ]
            rows = _entries(client, state_key, wanted)
        self._swept = [row for row in rows if row["swept_at"] is not None]
        return [(row, row["load_id"] in landed) for row in rows if row["swept_at"] is None]

    def newest(self, state_key: str) -> float | None:
        """See `Rows`."""
        with self._client() as client:
            return max((float(load_id) for load_id in _load_ids(client, state_key)), default=None)

    def settling(self) -> AbstractContextManager[None]:
        """See `Rows`. Not one step here: the mark comes last, so that a sweep that is interrupted is made again."""
        return nullcontext()

    def take(self, load_id: str, by: str | None) -> None:
        """See `Rows`."""
        self._edit(load_id, {"taken_by": by})

    def has_landed(self, load_id: str) -> bool:
        """See `Rows`."""
        with self._client() as client:
            has_landed = load_id in landed_loads(client)
        if not has_landed:
            self._incomplete.add(load_id)
        return has_landed

    def delete(self, load_id: str, kept: Collection[str]) -> dict[str, int]:
        """See `Rows`."""
        with self._client() as client:
            removed = {
                table: file_rows.remove(client, table, load_id) for table in client.table_names() if table not in kept
            }
            states = _states(client, load_id)
            for path in states:
                client.delete_file(path)
            client.forget(load_id)
            if load_id in self._incomplete:  # its process may have completed it since that was looked at
                for path in _completions(client, load_id):
                    client.delete_file(path)
            counts = {client.schema.state_table_name: len(states), **removed}
        return {table: rows for table, rows in counts.items() if rows}

    def mark(self, load_id: str, swept_at: datetime) -> None:
        """See `Rows`."""
        self._edit(load_id, {"swept_at": swept_at, "was_complete": load_id not in self._incomplete})

    def remove(self, load_id: str) -> None:
        """See `Rows`."""
        with self._client() as client:
            for path in self._paths(client, load_id):
                client.delete_file(path)

    def count(self, load_id: str) -> dict[str, int]:
        """See `Rows`."""
        with self._client() as client:
            counts = {table: file_rows.count(client, table, load_id) for table in client.table_names()}
        return {table: rows for table, rows in counts.items() if rows}

    def state(self, load_id: str) -> str | None:
        """See `Rows`."""
        with self._client() as client:
            documents = _read(client, _states(client, load_id))
        return str(documents[0]["state"]) if documents else None

    def sweep_again(self, state_key: str, kept: Collection[str]) -> None:  # noqa: ARG002 - those that were looked at
        """See `Rows`. Of the loads that `open_entries` found to have been swept incomplete within a day."""
        since = datetime.now(UTC) - _LOOKED_AT_AGAIN
        for row in self._swept:
            if not row.get("was_complete", True) and datetime.fromisoformat(row["swept_at"]) > since:
                removed = self.delete(row["load_id"], kept)
                if removed:
                    log.info("Removed what came of load %s after it was taken over: %s", row["load_id"], removed)

    def _edit(self, load_id: str, change: Row) -> None:
        with self._client() as client:
            for path in self._paths(client, load_id):
                for row in _read(client, [path]):
                    client.write_document(path, {**row, **change})

    def _paths(self, client: FilesClient, load_id: str) -> list[str]:
        """Return where the entry of a load is: with this pipeline's as a rule."""
        own = entry_path(client, self._pipeline.pipeline_name, load_id)
        if client.fs_client.exists(own):
            return [own]
        folders = client.names_in(client.pathlib.join(client.dataset_path, TABLE))
        paths = [entry_path(client, folder, load_id) for folder in folders]
        return [path for path in paths if client.fs_client.exists(path)]

    @contextmanager
    def _client(self) -> Iterator[FilesClient]:
        with files_client(self._pipeline) as client:
            yield client


@contextmanager
def files_client(pipeline: Pipeline) -> Iterator[FilesClient]:
    """Return the client of a pipeline whose destination is files."""
    client: Any = pipeline.destination_client()
    with client:
        yield client


def landed_loads(client: FilesClient) -> frozenset[str]:
    """Return the ids of the complete loads: `_dlt_loads/<schema>__<load id>.jsonl`."""
    names = client.names_in(client.pathlib.join(client.dataset_path, client.schema.loads_table_name))
    return frozenset(map(_load_id_of, names))


def _completions(client: FilesClient, load_id: str) -> list[str]:
    """Return the files that say that a load is complete."""
    folder = client.pathlib.join(client.dataset_path, client.schema.loads_table_name)
    return [str(client.pathlib.join(folder, name)) for name in client.names_in(folder) if _load_id_of(name) == load_id]


def _load_id_of(name: str) -> str:
    """Return the load that a file of `_dlt_loads` is about."""
    return name.removesuffix(".jsonl").rpartition(_SEPARATOR)[2]


def _states(client: FilesClient, load_id: str) -> list[str]:
    """Return the files with the state a load carried: `<pipeline>__<load id>__<hash>.jsonl`."""
    folder = client.pathlib.join(client.dataset_path, client.schema.state_table_name)
    return [
        str(client.pathlib.join(folder, name))
        for name in client.names_in(folder)
        if name.rsplit(_SEPARATOR, maxsplit=2)[1:2] == [load_id]
    ]


def _read(client: FilesClient, paths: list[str]) -> list[dict[str, Any]]:
    """Return the documents at paths, read side by side; those that somebody has just removed are left out."""
    if not paths:
        return []
    documents = []
    for found in client.fs_client.cat(paths, on_error="return").values():
        if isinstance(found, FileNotFoundError):
            continue
        if isinstance(found, BaseException):
            raise found
        documents.append(json.loads(found))
    return documents


def _load_ids(client: FilesClient, state_key: str) -> list[str]:
    """Return the ids of the loads of a key that have an entry."""
    names = client.names_in(client.pathlib.join(client.dataset_path, TABLE, pipeline_state.pipeline_name(state_key)))
    return [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]


def _entries(client: FilesClient, state_key: str, load_ids: Collection[str]) -> list[Row]:
    folder = pipeline_state.pipeline_name(state_key)
    rows = _read(client, [entry_path(client, folder, load_id) for load_id in load_ids])
    return [{**row, **{name: datetime.fromisoformat(row[name]) for name in MOMENTS if row[name]}} for row in rows]
