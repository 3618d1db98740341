"""What comes over the pipe is held against its event, since the source can write there as well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nilus.protocol.events import Adopted, Loaded, Prepared, Progress, Unsettled, decode, encode

LOADED: dict[str, Any] = {
    "event": "loaded",
    "load_ids": ["1700000000.5"],
    "tables": {"orders": {"rows": 1, "write_disposition": "append", "columns": {"id": "bigint"}}},
    "dataset": "raw",
    "destination": "duckdb",
    "reading": "full",
    "keeps_state": True,
    "state": {},
    "seconds": {"load": 1.5},
    "interval": ["2026-01-01", "2026-01-02"],
}
ADOPTED = {"event": "adopted", "load_id": "1.5", "run_id": "r", "commit": "c", "rows": {"t": 1}, "state": {}}
PROGRESS = {"event": "progress", "step": "load", "seconds": 1}


@pytest.mark.parametrize(
    "event",
    [
        Loaded(**{name: value for name, value in LOADED.items() if name != "event"}),
        Prepared(load_ids=["1.5"], tables=["orders"]),
        Progress(step="extract", seconds=1.5, rows={"orders": 10}, rows_per_second={"orders": 2.5}, jobs_done=1),
        Unsettled(entries=[{"load_id": "1.5"}]),
        Adopted(load_id="1.5", run_id="r", commit="c", rows={}, state={"s": [1, None]}),
    ],
)
def test_what_is_sent_is_what_is_received(event: Any) -> None:
    assert encode(decode(encode(event))) == encode(event)


def _with(document: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"1",
        b'{"event": []}',
        b'{"event": "nothing"}',
        b"[" * 200_000,
        b'{"event": "progress", "step": "load", "seconds": NaN}',
        b'{"event": "progress", "step": "load", "seconds": 1e999}',
        b'{"event": "progress", "step": "load", "seconds": -1}',
        _with(PROGRESS, more=1),
        _with(PROGRESS, step=None),
        _with(PROGRESS, seconds=True),
        _with(PROGRESS, seconds=10**30),
        _with(PROGRESS, step="x" * 5_000),
        _with(PROGRESS, rows={"t": "1"}),
        _with(PROGRESS, rows={f"t{number}": 1 for number in range(100_001)}),
        _with(LOADED, load_ids="1.5"),
        _with(LOADED, load_ids=["../../x"]),
        _with(LOADED, tables={"orders": 1}),
        _with(LOADED, tables={"orders": {"rows": -1, "write_disposition": None}}),
        _with(LOADED, tables={"orders": {"rows": True, "write_disposition": None}}),
        _with(LOADED, tables={"../other/orders": LOADED["tables"]["orders"]}),
        _with(LOADED, tables={"%2e%2e": LOADED["tables"]["orders"]}),
        _with(LOADED, tables={"_airflow_loads": LOADED["tables"]["orders"]}),
        _with(LOADED, reading="all"),
        _with(LOADED, interval=["2026-01-01"]),
        _with(ADOPTED, load_id="/etc/passwd"),
        _with(ADOPTED, rows={"t": 1.5}),
        b'{"event": "prepared", "load_ids": ["1.5"], "tables": ["a\\nb"]}',
        b'{"event": "package_request", "action": "get", "load_id": "../1.5"}',
    ],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        decode(line)
