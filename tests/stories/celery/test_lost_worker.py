"""A fan-out over Celery workers, of which one is lost in the middle of a load."""

from __future__ import annotations

import json
import time

import pytest

BOUND = 240.0
NAMES = ("customers", "orders", "parts", "users")
ROWS = 1000


class Clock:
    """Says what happened when, in seconds since the run was triggered."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.wall = time.time()
        self.lines: list[str] = []

    def say(self, what: str, at: float | None = None) -> None:
        seconds = time.monotonic() - self._started if at is None else at - self.wall
        self.lines.append(f"{seconds:6.1f} s  {what}")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hold").touch()
    return tmp_path


def tries(folder):
    """Return (resource, worker, time) of every try, in order."""
    if not (folder / "tries").exists():
        return []
    lines = [line.split() for line in (folder / "tries").read_text().splitlines()]
    return [(name, worker, float(at)) for name, worker, at in lines]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_worker_lost_in_the_middle_of_a_load_costs_nothing_but_time(celery_airflow, warehouse, folder):
    clock = Clock()
    run_id = celery_airflow.trigger("distributed", conf={"folder": str(folder)})
    clock.say("the run is triggered")
    deadline = time.monotonic() + BOUND
    while not (folder / "held").exists():
        run = celery_airflow.run("distributed", run_id)
        ended = run.state in ("failed", "success") or time.monotonic() > deadline
        assert not ended, f"{run}\n{celery_airflow.errors(run)}\n{celery_airflow.component_logs()}"
        time.sleep(0.2)
    lost = (folder / "held").read_text()
    began = tries(folder)
    for name, worker, at in began:
        clock.say(f"{name} begins on {worker}", at)
    assert sorted(name for name, _, _ in began) == sorted(NAMES)
    assert sorted(worker for _, worker, _ in began) == ["worker-1", "worker-1", "worker-2", "worker-2"]
    half = warehouse.rows("SELECT count(*) FROM shop.orders")[0][0]
    assert 0 < half < ROWS
    clock.say(f"orders: {half} of {ROWS} rows are in the table, the load is not complete")

    killed = celery_airflow.kill(lost)
    clock.say(f"kill -9 of {lost}: {len(killed)} processes")
    (folder / "hold").unlink()
    run = celery_airflow.wait("distributed", run_id, bound=BOUND)
    clock.say("the run has succeeded")

    again = [(name, worker, at) for name, worker, at in tries(folder)[len(began) :]]
    for name, worker, at in again:
        clock.say(f"{name} begins again on {worker}", at)
    assert "orders" in {name for name, _, _ in again}
    assert {worker for _, worker, _ in again}.isdisjoint({lost})
    by_resource = {t["rendered_map_index"]: t for t in run.tasks if t["task_id"] == "shop.load"}
    assert sorted(by_resource) == sorted(NAMES)
    assert by_resource["orders"]["try_number"] >= 2
    for name in NAMES:
        (counts,) = warehouse.rows(f"SELECT count(*), count(DISTINCT number), max(number) FROM shop.{name}")
        assert counts == (ROWS, ROWS, ROWS - 1), name
        orphans = f"SELECT count(*) FROM shop.{name} WHERE _dlt_load_id NOT IN (SELECT load_id FROM shop._dlt_loads)"
        assert warehouse.rows(orphans) == [(0,)], name
    unsettled = (
        "SELECT j.state_key FROM shop._airflow_loads j LEFT JOIN shop._dlt_loads l ON l.load_id = j.load_id"
        " AND l.status = 0 WHERE l.load_id IS NULL AND j.swept_at IS NULL"
    )
    assert warehouse.rows(unsettled) == []
    swept = warehouse.rows("SELECT state_key FROM shop._airflow_loads WHERE swept_at IS NOT NULL")
    assert ("distributed.shop.orders",) in swept
    for line in _settled(celery_airflow, run, by_resource["orders"]):
        clock.say(f"log of orders: {line}")

    second = celery_airflow.trigger("distributed", conf={"folder": str(folder)})
    clock.say("the next run is triggered, with one worker left")
    celery_airflow.wait("distributed", second, bound=BOUND)
    clock.say("the next run has succeeded")
    for name in NAMES:
        (counts,) = warehouse.rows(f"SELECT count(*), count(DISTINCT number), max(number) FROM shop.{name}")
        assert counts == (2 * ROWS, 2 * ROWS, 2 * ROWS - 1), name
    print("\n".join(["", *sorted(clock.lines)]))


def _settled(airflow, run, task) -> list[str]:
    """Return what the last try's log says of what was left."""
    folder = airflow.logs / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / "task_id=shop.load"
    log = folder / f"map_index={task['map_index']}" / f"attempt={task['try_number']}.log"
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    return [event for event in events if event.startswith(("Removed the rows", "State:"))]
