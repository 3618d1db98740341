"""Several writers at once, and the small tables that say what was loaded."""

from __future__ import annotations

import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.common.schema import Schema
from lake_reader import LakeReader

from nilus.errors import DestinationError
from nilus.protocol.job import Run
from nilus.runtime.recovery import fence
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.sinks.lakehouse import commit as lakehouse_commit
from nilus.runtime.sinks.lakehouse import ledger as lakehouse_ledger
from nilus.runtime.sinks.lakehouse import load as lakehouse_load
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import Change, commit, write
from nilus.runtime.sinks.lakehouse.journal import LakehouseRows
from nilus.runtime.sinks.lakehouse.keys import MergeRule
from nilus.runtime.sinks.lakehouse.ledger import Ledger, make_table
from nilus.runtime.sinks.lakehouse.merge import merge
from nilus.runtime.sinks.lakehouse.table import TableLoad

READING = Reading(kind="cursor", start=None, end=None, reads_state=True, keeps_state=True)
COLUMNS = [{"name": "name", "data_type": "text"}, {"name": "number", "data_type": "bigint"}]


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(Lake(f"iceberg://{tmp_path}/lake"), "raw", "told", COLUMNS)
    made.make()
    return made


@pytest.fixture
def reader(tmp_path):
    return LakeReader.local(tmp_path / "lake")


def _together(*actions):
    """Run actions at once and raise what the first of them raised."""
    barrier, errors = threading.Barrier(len(actions)), []

    def run(action):
        barrier.wait()
        try:
            action()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_runs_in_processes_of_their_own_that_append_replace_and_merge_at_once_all_land(lake, rows):
    lake.run(rows("[{'id': n, 'who': 0} for n in range(100)]"), strategy="append")
    code = "[{{'id': n, 'who': {who}}} for n in range({start}, {start} + 500)]"
    jobs = [
        lake.job(rows(code.format(who=who, start=1000 * who)), state_key=f"key-{who}", strategy=strategy, **options)
        for who, (strategy, options) in enumerate(
            [("append", {}), ("append", {}), ("merge", {"primary_key": ["id"]})], start=1
        )
    ]
    started = [lake.runner.start(job) for job in jobs]
    results = [lake.runner.wait(*one)[0] for one in started]
    assert not any(isinstance(result, dict) for result in results), results
    assert lake.query("SELECT who, count(*), count(DISTINCT id) FROM raw.orders GROUP BY 1 ORDER BY 1") == [
        (0, 100, 100),
        (1, 500, 500),
        (2, 500, 500),
        (3, 500, 500),
    ]
    assert len(lake.summaries("orders")) == 4


def test_a_reader_sees_the_old_rows_or_the_new_ones_while_a_table_is_replaced(lake, rows):
    lake.run(rows("[{'id': n} for n in range(300)]"), strategy="replace")
    process, receiver = lake.runner.start(lake.job(rows("[{'id': n} for n in range(200)]"), strategy="replace"))
    seen = set()
    while process.is_alive():
        seen.add(len(lake.arrow("orders")))
        if receiver.poll(0):
            break
    result, _ = lake.runner.wait(process, receiver)
    assert not isinstance(result, dict), result
    seen.add(len(lake.arrow("orders")))
    assert seen == {300, 200}


def test_first_runs_at_once_make_the_catalog_and_the_tables_once(lake, rows):
    jobs = [
        lake.job(rows(f"[{{'id': {who}, 'c{who}': 1}}]"), state_key=f"key-{who}", strategy="append") for who in range(3)
    ]
    started = [lake.runner.start(job) for job in jobs]
    results = [lake.runner.wait(*one)[0] for one in started]
    assert not any(isinstance(result, dict) for result in results), results
    assert lake.rows("orders", "id") == [(0,), (1,), (2,)]
    assert {"c0", "c1", "c2"} <= set(lake.table("orders").schema().column_names)


def test_rows_added_at_once_are_all_there_and_seen_by_whoever_looks_next(ledger):
    seen = []

    def enter(number):
        ledger.add([{"name": "n", "number": number}])
        seen.append({row["number"] for row in ledger.rows()})

    _together(*(lambda number=number: enter(number) for number in range(6)))
    assert {row["number"] for row in ledger.rows()} == set(range(6))
    assert any(found == set(range(6)) for found in seen), "the last to commit sees all the others"


def test_an_update_edits_what_others_have_written_meanwhile(ledger):
    ledger.add([{"name": "old", "number": 1}])

    def rename(rows):
        return [{**row, "name": "new"} if row["name"] == "old" else row for row in rows]

    _together(lambda: ledger.update(rename), *(lambda n=n: ledger.add([{"name": "late", "number": n}]) for n in (2, 3)))
    assert sorted((row["name"], row["number"]) for row in ledger.rows()) == [("late", 2), ("late", 3), ("new", 1)]


def test_small_tables_stay_small_however_often_they_are_written(ledger, reader, monkeypatch):
    monkeypatch.setattr(lakehouse_ledger, "FILES", 5)
    monkeypatch.setattr(lakehouse_ledger, "KEPT", lakehouse_ledger.timedelta(0))
    for number in range(17):
        ledger.add([{"name": "n", "number": number}])
    assert sorted(row["number"] for row in ledger.rows()) == list(range(17))
    assert len(reader.files("told")) <= 6
    assert len(reader.table("told").metadata.snapshots) <= 8


def test_child_rows_of_a_row_that_another_writer_brings_during_a_merge_go_with_it(lake, rows, tmp_path):
    options = {"strategy": "merge", "primary_key": ["id"], "max_table_nesting": 1}
    lake.run(rows("[{'id': 1, 'tags': [{'t': 'old'}]}]"), **options)
    here = Lake(lake.address)
    parents, children = lake.arrow("orders"), lake.arrow("orders__tags")

    def with_ids(table, suffix, **values):
        changed = [{**row, **values, "_dlt_id": f"{row['_dlt_id']}{suffix}"} for row in table.to_pylist()]
        for row in changed:
            if "_dlt_root_id" in row:
                row["_dlt_root_id"] += suffix
        return pa.Table.from_pylist(changed, schema=table.schema)

    class Interrupted(TableLoad):
        """Another writer appends a row of the same key just before the commit."""

        def commit(self, change):
            here.catalog.load_table(("raw", "orders__tags")).append(with_ids(children, "other", t="other"))
            here.catalog.load_table(("raw", "orders")).append(with_ids(parents, "other"))
            super().commit(change)

    def load(kind, name, table, **values):
        file = tmp_path / f"{name}.parquet"
        pq.write_table(with_ids(table, "new", **values), file)
        return kind(here, "raw", name, [file], "99.5")

    merge(
        load(Interrupted, "orders", parents),
        [load(TableLoad, "orders__tags", children, t="new")],
        MergeRule(primary=("id",)),
        {"orders__tags": "_dlt_root_id"},
    )
    assert lake.tables() == {"orders": 1, "orders__tags": 1}
    assert lake.rows("orders__tags", "t") == [("new",)]


def test_of_the_states_of_a_pipeline_only_the_newest_are_kept(lake, monkeypatch):
    code = """
    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            @nilus.resource(name="orders", write_disposition="append")
            def orders():
                state = nilus.current.resource_state()
                state["runs"] = state.get("runs", 0) + 1
                yield {"id": state["runs"]}
            return orders
    """
    outcomes = [lake.run(code) for _ in range(3)]
    assert [len(lake.rows("orders", "id")), len(lake.rows("_dlt_pipeline_state", "version"))] == [3, 3]
    monkeypatch.setattr(lakehouse_load, "STATES", 2)
    states = lake.arrow("_dlt_pipeline_state").to_pylist()
    kept = lakehouse_load._newest_states(states)
    assert [row["_dlt_load_id"] for row in kept] == [outcomes[2].loaded.load_ids[0], outcomes[1].loaded.load_ids[0]]
    journal = Journal(LakehouseRows(Lake(lake.address), "raw"))
    assert journal.carried_state(outcomes[2].loaded.load_ids[0])["shop"]["resources"]["orders"] == {"runs": 3}


def _run(number):
    return Run(
        state_key="d.t",
        dag_id="d",
        task_id="t",
        map_index=-1,
        run_id=f"run-{number}",
        run_type="manual",
        try_number=1,
        repository="https://example.org/sources",
        commit="c" * 40,
    )


def test_of_two_runs_that_enter_and_then_look_one_at_least_sees_the_other(tmp_path):
    sees = {}

    def enter(number):
        journal = Journal(LakehouseRows(Lake(f"iceberg://{tmp_path}/lake"), "raw"))
        journal.enter(_run(number), READING, [f"{number}.5"], source="shop.py:Shop")
        sees[number] = {entry.run_id for entry in journal.open_entries("d.t")}

    _together(lambda: enter(1), lambda: enter(2))
    assert {"run-1", "run-2"} in sees.values()


def test_a_withdrawn_entry_is_gone_and_a_swept_one_is_kept_but_not_told(tmp_path):
    lake = Lake(f"iceberg://{tmp_path}/lake")
    journal = Journal(LakehouseRows(lake, "raw"))
    assert journal.open_entries("d.t") == []
    journal.enter(_run(1), READING, ["1.5", "2.5"], source="shop.py:Shop")
    journal.withdraw("1.5")
    assert [entry.load_id for entry in journal.open_entries("d.t")] == ["2.5"]
    assert not journal.open_entries("d.t")[0].landed
    assert journal.sweep("2.5", by="a test") == {}
    assert journal.open_entries("d.t") == []
    assert [row["load_id"] for row in Ledger(lake, "raw", "_airflow_loads", ()).rows()] == ["2.5"]


def test_a_child_row_whose_parent_an_interrupted_merge_did_not_bring_is_swept(lake, rows):
    options = {"strategy": "merge", "primary_key": ["id"], "max_table_nesting": 1}
    code = "[{'id': 1, 'tags': [{'t': 'a'}]}]"
    lake.run(rows(code), **options)
    orphan = lake.arrow("orders__tags").to_pylist()[0]
    table = lake.table("orders__tags")
    row = {**orphan, "_dlt_load_id": "9.5", "_dlt_root_id": "nowhere", "t": "orphan"}
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
    assert len(lake.rows("orders__tags", "t")) == 2
    stored = lake.arrow("_dlt_version").to_pylist()[-1]["schema"]
    journal = Journal(LakehouseRows(Lake(lake.address), "raw", Schema.from_dict(json.loads(stored))))
    journal.enter(_run(1), READING, ["9.5"], source="s")
    assert journal.sweep("9.5", by="a test", kept={"orders", "orders__tags"}) == {"orders__tags": 1}
    assert lake.rows("orders__tags", "t") == [("a",)]


def test_a_commit_that_was_looked_at_before_its_load_was_taken_over_is_too_late_and_refused(tmp_path):
    lake = Lake(f"iceberg://{tmp_path}/lake")
    journal = Journal(LakehouseRows(lake, "raw"))
    tokens = journal.enter(_run(1), READING, ["1.5"], source="shop.py:Shop")
    make_table(lake, "raw", "orders", [{"name": "_dlt_load_id", "data_type": "text"}], {})
    orders, seen = lake.catalog.load_table(("raw", "orders")), []
    added = write(orders, [pa.table({"_dlt_load_id": ["1.5"]})])

    def paused(table):
        if not seen:
            journal.sweep("1.5", by="attempt 2 of run r", unfinished=True)
        seen.append(table)

    change = Change(added=added, where=None, rewrite=lambda *_: None, also=None)
    load = TableLoad(lake, "raw", "orders", [], "1.5")
    apply = change.apply
    change.apply = lambda transaction, table, summary: (paused(table), apply(transaction, table, summary))
    with fence.writing("1.5", "d.t", tokens["1.5"], lambda _: True), pytest.raises(fence.LoadStopped) as stopped:
        load.commit(change)
    assert "was taken over by attempt 2 of run r" in str(stopped.value)
    assert len(seen) == 1
    assert lake.catalog.load_table(("raw", "orders")).scan().count() == 0


# --- whoever is late ----------------------------------------------------------------------------------------------


def _beaten(ledger, times):
    """Return a change that another writer beats so many times, and the row counts of the tables it was made for."""
    seen = []

    def change(table):
        seen.append(table.scan().count())
        if len(seen) <= times:
            ledger.add([{"name": "other", "number": len(seen)}])
        return Change(added=write(table, [pa.table({"name": ["late"], "number": [0]})]))

    return change, seen


def test_a_change_that_came_too_late_is_made_again_for_the_table_as_it_is_by_then(ledger):
    change, seen = _beaten(ledger, times=2)
    commit(ledger._load, change, {})
    assert seen == [0, 1, 2], "pyiceberg's own tries would not ask again"
    assert sorted(row["name"] for row in ledger.rows()) == ["late", "other", "other"]
    assert "commit.retry.num-retries" not in ledger._load().properties


def test_a_change_that_is_always_too_late_is_given_up_with_a_remedy(ledger, monkeypatch):
    monkeypatch.setattr(lakehouse_commit, "RETRY_SECONDS", 0.0)
    change, seen = _beaten(ledger, times=1)
    with pytest.raises(DestinationError, match="changed by others all the time") as caught:
        commit(ledger._load, change, {})
    assert seen == [0]
    assert caught.value.retryable
