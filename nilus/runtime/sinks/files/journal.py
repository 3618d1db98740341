"""The journal as files, for sinks that are folders: `_airflow_loads/<pipeline>/<load id>.json`.

An entry appears at once and complete: by rename on a local disk, by a PUT in an object store. Listings of the object
stores supported show what was written before they began, so of two runs that enter and then look, one at least sees the
other. A folder holds the entries of one state key: looking costs a listing of its loads, and one of `_dlt_loads`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dlt import Pipeline

from nilus.protocol.job import Run
from nilus.runtime.engine import pipeline_state
from nilus.runtime.engine.internals.state import decompress_state
from nilus.runtime.recovery import journal
from nilus.runtime.recovery.journal import Entry
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.sinks.files import rows as file_rows
from nilus.runtime.sinks.files.client import FilesClient

_SUFFIX = ".json"
_SEPARATOR = "__"


class FileJournal:
    """See `nilus.runtime.recovery.journal.Journal` for the methods.

    Args:
        pipeline: an active dlt pipeline; its destination and dataset are used.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def enter(self, run: Run, reading: Reading, load_ids: list[str], *, source: str) -> None:
        """See `Journal`."""
        folder = pipeline_state.pipeline_name(run.state_key)
        with self._client() as client:
            client.initialize_storage()
            for load_id in load_ids:
                row = journal.row(run, reading, load_id, source)
                client.write_document(_path(client, folder, load_id), row)

    def open_entries(self, state_key: str, *, newer_than: str | None = None, run_id: str | None = None) -> list[Entry]:
        """See `Journal`."""
        folder = pipeline_state.pipeline_name(state_key)
        with self._client() as client:
            names = client.names_in(client.pathlib.join(client.dataset_path, journal.TABLE, folder))
            entered = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
            if not entered:
                return []
            landed = landed_loads(client)
            open_ids = [
                load_id
                for load_id in sorted(entered, key=float)
                if load_id not in landed or newer_than is None or float(load_id) > float(newer_than)
            ]
            rows = _read(client, [_path(client, folder, load_id) for load_id in open_ids])
        return [
            _entry(row, landed)
            for row in rows
            if row["swept_at"] is None and (run_id is None or row["run_id"] == run_id)
        ]

    def withdraw(self, load_id: str) -> None:
        """See `Journal`."""
        with self._client() as client:
            for path in self._paths(client, load_id):
                client.delete_file(path)

    def sweep(self, load_id: str, *, kept: Collection[str] = ()) -> dict[str, int]:
        """See `Journal`. Not one step here: the mark comes last, so that a sweep that is interrupted is made again."""
        with self._client() as client:
            removed = {
                table: file_rows.remove(client, table, load_id) for table in client.table_names() if table not in kept
            }
            state_table = client.schema.state_table_name
            states = _states(client, load_id)
            for path in states:
                client.delete_file(path)
            client.forget(load_id)
            for path in self._paths(client, load_id):
                (row,) = _read(client, [path])
                client.write_document(path, {**row, "swept_at": datetime.now(UTC)})
        counts = {**({state_table: len(states)} if states else {}), **removed}
        return {table: rows for table, rows in counts.items() if rows}

    def rows(self, load_id: str) -> dict[str, int]:
        """See `Journal`."""
        with self._client() as client:
            counts = {table: file_rows.count(client, table, load_id) for table in client.table_names()}
        return {table: rows for table, rows in counts.items() if rows}

    def carried_state(self, load_id: str) -> dict[str, Any] | None:
        """See `Journal`."""
        with self._client() as client:
            documents = _read(client, _states(client, load_id))
        return (
            pipeline_state.to_plain(decompress_state(documents[0]["state"]).get("sources", {})) if documents else None
        )

    def _paths(self, client: FilesClient, load_id: str) -> list[str]:
        """Return where the entry of a load is: with this pipeline's as a rule."""
        own = _path(client, self._pipeline.pipeline_name, load_id)
        if client.fs_client.exists(own):
            return [own]
        folders = client.names_in(client.pathlib.join(client.dataset_path, journal.TABLE))
        paths = [_path(client, folder, load_id) for folder in folders]
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
    return frozenset(name.removesuffix(".jsonl").rpartition(_SEPARATOR)[2] for name in names)


def _path(client: FilesClient, folder: str, load_id: str) -> str:
    return str(client.pathlib.join(client.dataset_path, journal.TABLE, folder, f"{load_id}{_SUFFIX}"))


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


def _entry(row: dict[str, Any], landed: Collection[str]) -> Entry:
    known = {name: row[name] for name in journal.ENTRY}
    started_at = datetime.fromisoformat(row["started_at"])
    return Entry(**{**known, "started_at": started_at}, landed=row["load_id"] in landed)
