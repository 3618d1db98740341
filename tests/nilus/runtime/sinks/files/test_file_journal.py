"""The journal as files: what a run of its own sees of it, on this disk and in S3."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import dlt
import pytest
from job_fixture import job_with

from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.engine.context import config_values, isolation
from nilus.runtime.engine.pipeline_state import pipeline_name
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.sinks import sink

KEY = "shop.load"
CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)
IDS = ("1795000001.5", "1795000002.25", "1795000003.125")


def run_of(run_id="r1", key=KEY):
    return Run(
        state_key=key, dag_id="shop", task_id="load", map_index=-1, run_id=run_id, run_type="scheduled", try_number=1,
        repository="https://example.org/r", commit="c" * 40, logical_date="2026-01-02T03:00:00+02:00",
    )  # fmt: skip


@pytest.fixture
def pipeline_of(tmp_path):
    """A pipeline into a lake as a run of its own would have it; several may be open one after the other."""
    with ExitStack() as stack:

        def make(lake, key=KEY):
            spec = SinkSpec(
                address=lake.address,
                display_address="",
                dataset="raw",
                credentials=lake.server.credentials if lake.server else {},
            )
            work_dir = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
            work_dir.mkdir()
            job = job_with(
                run=run_of(key=key), source=SourceSpec(address="custom://S", table="t"), sink=spec, checkout="/",
                base_dir="/", work_dir=str(work_dir),
            )  # fmt: skip
            stack.enter_context(isolation(str(work_dir), config_values(job, {})))
            target = sink(spec)
            pipeline = dlt.pipeline(
                pipeline_name(key), pipelines_dir=str(work_dir), destination=target.destination(), dataset_name="raw"
            )
            return target, pipeline

        yield make


@pytest.fixture(params=["file", "s3"])
def lake(request, make_runner):
    return make_runner(request.param).lake


def test_what_is_entered_is_there_at_once_for_others_and_says_whose_it_is(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    assert journal.open_entries(KEY) == []
    journal.enter(run_of(), CURSOR, [IDS[0]], source="shop.py:Shop")
    (entry,) = lake.journal()
    assert (entry["state_key"], entry["run_id"], entry["reading"], entry["swept_at"]) == (KEY, "r1", "cursor", None)
    assert datetime.fromisoformat(entry["logical_date"]) == datetime(2026, 1, 2, 1, tzinfo=UTC)
    (found,) = journal.open_entries(KEY)
    assert (found.load_id, found.run_id, found.landed, found.keeps_state) == (IDS[0], "r1", False, True)
    assert abs(datetime.now(UTC) - found.started_at).total_seconds() < 300


def test_what_somebody_else_enters_after_a_look_is_seen_by_the_next_look(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    journal.enter(run_of(), CURSOR, [IDS[0]], source="")
    assert [entry.load_id for entry in journal.open_entries(KEY)] == [IDS[0]]
    # Another machine: neither this process's clients nor what they may remember.
    other = {**lake.journal()[0], "load_id": IDS[1], "run_id": "r2"}
    name = f"raw/_airflow_loads/{pipeline_name(KEY)}/{IDS[1]}.json"
    _write(lake, name, json.dumps(other))
    assert [entry.run_id for entry in journal.open_entries(KEY)] == ["r1", "r2"]


def test_the_entries_of_other_keys_are_not_looked_at(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    journal.enter(run_of(key="another / kéy"), CURSOR, [IDS[0]], source="")
    assert journal.open_entries(KEY) == []
    assert [entry.state_key for entry in journal.open_entries("another / kéy")] == ["another / kéy"]


def test_loads_that_landed_and_are_not_newer_are_left_out(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    for number, load_id in enumerate(IDS):
        journal.enter(run_of(f"r{number}"), CURSOR, [load_id], source="")
    for load_id in IDS[1:]:
        _write(lake, f"raw/_dlt_loads/everything__{load_id}.jsonl", json.dumps({"load_id": load_id}))
    assert [(entry.load_id, entry.landed) for entry in journal.open_entries(KEY)] == [
        (IDS[0], False),
        (IDS[1], True),
        (IDS[2], True),
    ]
    assert [entry.load_id for entry in journal.open_entries(KEY, newer_than=IDS[1])] == [IDS[0], IDS[2]]


def test_a_withdrawn_load_leaves_nothing(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    journal.enter(run_of(), CURSOR, [IDS[0]], source="")
    journal.withdraw(IDS[0])
    assert lake.journal() == []
    journal.withdraw(IDS[0])


def test_a_swept_load_is_gone_from_appended_tables_and_stays_in_kept_ones(lake, pipeline_of):
    target, pipeline = pipeline_of(lake)
    journal = target.journal(pipeline)
    journal.enter(run_of(), CURSOR, list(IDS[:2]), source="")
    for load_id in IDS[:2]:
        for table in ("orders", "items", "whole"):
            _write(lake, f"raw/{table}/{load_id}.abc.jsonl", f'{{"_dlt_load_id":"{load_id}"}}\n' * 3)
        _write(lake, f"raw/_dlt_pipeline_state/{pipeline_name(KEY)}__{load_id}__ff.jsonl", "{}")
    _write(lake, f"raw_staging/{IDS[1]}/whole/{IDS[1]}.abd.jsonl", "{}\n")
    # An id of which the other is the beginning, and a file somebody else put there.
    _write(lake, f"raw/orders/{IDS[1]}7.abc.jsonl", '{"_dlt_load_id":"other"}\n')
    _write(lake, "raw/orders/by-hand.jsonl", "{}\n")
    assert journal.count(IDS[1]) == {"items": 3, "orders": 3, "whole": 3}
    assert journal.sweep(IDS[1], by="a test", kept={"whole"}) == {"_dlt_pipeline_state": 1, "items": 3, "orders": 3}
    left = [path for path in lake.files() if IDS[1] in path and "_airflow_loads" not in path]
    assert sorted(left) == [f"raw/orders/{IDS[1]}7.abc.jsonl", f"raw/whole/{IDS[1]}.abc.jsonl"]
    assert "raw/orders/by-hand.jsonl" in lake.files()
    assert journal.count(IDS[0]) == {"items": 3, "orders": 3, "whole": 3}
    assert [entry.load_id for entry in journal.open_entries(KEY)] == [IDS[0]]
    swept = {entry["load_id"]: entry["swept_at"] for entry in lake.journal()}
    assert swept[IDS[0]] is None
    assert datetime.fromisoformat(swept[IDS[1]]) <= datetime.now(UTC)
    assert journal.sweep(IDS[1], by="a test", kept={"whole"}) == {}, "again is harmless"


SOURCE = """
    @nilus.resource(write_disposition="append")
    def orders(upto):
        state = nilus.current.resource_state()
        yield from ({"id": number} for number in range(state.get("last", 0) + 1, upto + 1))
        state["last"] = upto

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return orders(UPTO)
"""


def test_the_state_a_load_carried_is_known_also_where_the_destination_held_the_same(run, pipeline_of):
    first = run(SOURCE.replace("UPTO", "3"))
    second = run(SOURCE.replace("UPTO", "5"), run_id="b")
    again = run(SOURCE.replace("UPTO", "5"), run_id="b", try_number=2, state=first.state, replaces=second.load_ids)
    assert again.state == second.state
    assert [row["id"] for row in run.lake.rows("orders")] == [1, 2, 3, 4, 5]
    target, pipeline = pipeline_of(run.lake)
    journal = target.journal(pipeline)
    assert journal.carried_state(first.load_ids[0]) == first.state
    assert journal.carried_state(second.load_ids[0]) is None, "swept"
    assert journal.carried_state(again.load_ids[0]) == again.state


@pytest.mark.parametrize(("query", "loader_file_format"), [("", "parquet"), ("", "csv"), ("?table_format=delta", None)])
def test_the_rows_of_a_load_are_counted_and_removed(query, loader_file_format, make_runner, pipeline_of):
    run = make_runner(query=query)
    first = run(SOURCE.replace("UPTO", "3"), loader_file_format=loader_file_format)
    second = run(SOURCE.replace("UPTO", "5"), loader_file_format=loader_file_format)
    target, pipeline = pipeline_of(run.lake)
    # A run syncs first: whether a table is a Delta table is seen in the store, not in the schema.
    journal = target.journal(pipeline)
    assert journal.count(first.load_ids[0]) == {"orders": 3}
    assert journal.sweep(first.load_ids[0], by="a test") == {"_dlt_pipeline_state": 1, "orders": 3}
    assert sorted(row["id"] for row in run.lake.rows("orders")) == [4, 5]
    assert journal.count(second.load_ids[0]) == {"orders": 2}
    assert target.dataset(pipeline) == "raw"


def _write(lake, path, text):
    if lake.server is None:
        target = Path(lake.root) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return
    bucket, _, prefix = lake.root.partition("/")
    lake.server.client().put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=text.encode())
