"""What a source writes to the pipe in its own interest: nothing outside of its run is moved by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_nilus.child.event_handler import Conversation
from nilus.errors import ProcessError
from nilus.protocol.events import Adopted, Loaded, PackageRequest, Unsettled

ENTRY = {
    "load_id": "2.5",
    "state_key": "shop.load",
    "dag_id": "shop",
    "task_id": "load",
    "map_index": -1,
    "run_id": "scheduled__b",
    "try_number": 1,
    "commit": "c" * 40,
    "reading": "cursor",
    "started_at": "2026-01-01T00:00:00+00:00",
    "landed": True,
}
ADOPTED = Adopted(load_id="2.5", run_id="scheduled__b", commit="c" * 40, rows={"t": 2}, state={})


class _Turn:
    def __init__(self) -> None:
        self.adopted: list[Adopted] = []

    def adopt(self, event: Adopted) -> None:
        self.adopted.append(event)

    def has_moved(self, entries: list[dict[str, Any]]) -> bool:
        return False


@pytest.fixture
def conversation(monkeypatch, tmp_path):
    """Return a conversation about a job; Airflow's answers stand in `states`."""
    from airflow_provider_nilus.task import states

    known = {"live": [], "states": {"2.5": "failed"}}
    monkeypatch.setattr(states, "of_entries", lambda entries: known)
    job: Any = SimpleNamespace(
        run=SimpleNamespace(state_key="shop.load"),
        sink=SimpleNamespace(dataset="raw_data"),
        place=SimpleNamespace(work_dir=str(tmp_path / "work")),
        state=SimpleNamespace(adopt=False),
    )
    turn: Any = _Turn()
    packages: Any = SimpleNamespace(answer=lambda request: {"where": request.folder})
    outcome: Any = SimpleNamespace(adopted=[])
    made = Conversation(job, turn, outcome, packages, lambda *_: None)
    return SimpleNamespace(conversation=made, turn=turn, known=known, job=job)


def test_a_load_that_airflow_was_asked_about_is_adopted(conversation):
    conversation.conversation.answer(Unsettled(entries=[ENTRY]))
    conversation.conversation.hear(ADOPTED)
    assert conversation.turn.adopted == [ADOPTED]


@pytest.mark.parametrize(
    ("entry", "states"),
    [
        (None, {}),
        ({"load_id": "3.5"}, {"3.5": "failed"}),
        ({"run_id": "scheduled__c"}, {"2.5": "failed"}),
        ({"landed": False}, {"2.5": "failed"}),
        ({}, {"2.5": "success"}),
        ({}, {"2.5": "gone"}),
    ],
)
def test_no_other_load_is(conversation, entry, states):
    conversation.known["states"] = states
    if entry is not None:
        conversation.conversation.answer(Unsettled(entries=[{**ENTRY, **entry}]))
    with pytest.raises(ProcessError, match="does not belong to its run") as caught:
        conversation.conversation.hear(ADOPTED)
    assert not caught.value.retryable
    assert conversation.turn.adopted == []


def test_nor_one_of_a_task_that_is_running(conversation):
    conversation.known["live"] = ["2.5"]
    conversation.conversation.answer(Unsettled(entries=[ENTRY]))
    with pytest.raises(ProcessError):
        conversation.conversation.hear(ADOPTED)


@pytest.mark.parametrize("change", [{"state_key": "other.key"}, {"load_id": "../2.5"}, {"landed": "yes"}, {"more": 1}])
def test_entries_are_the_journals_and_of_the_runs_own_key(conversation, change):
    with pytest.raises(ProcessError, match="does not belong to its run"):
        conversation.conversation.answer(Unsettled(entries=[{**ENTRY, **change}]))


@pytest.mark.parametrize("dataset", ["other", "raw_data_2", "raw", ""])
def test_another_schemas_load_is_not_told_of(conversation, dataset):
    with pytest.raises(ProcessError, match="does not belong to its run"):
        conversation.conversation.result(_loaded(dataset))


@pytest.mark.parametrize("dataset", ["raw_data", "RAW_DATA", "rawdata"])
def test_the_jobs_schema_is_known_in_the_destinations_spelling(conversation, dataset):
    assert conversation.conversation.result(_loaded(dataset)).dataset == dataset


@pytest.mark.parametrize("folder", ["/etc", "../../etc", "work/../../etc"])
def test_packages_come_from_and_go_to_the_work_folder_alone(conversation, folder):
    inside = f"{conversation.job.place.work_dir}/packages"
    asked = PackageRequest(action="put", load_id="2.5", folder=inside)
    assert conversation.conversation.answer(asked) == {"where": inside}
    with pytest.raises(ProcessError, match="does not belong to its run"):
        conversation.conversation.answer(PackageRequest(action="put", load_id="2.5", folder=folder))


def _loaded(dataset: str) -> Loaded:
    return Loaded(
        load_ids=[],
        tables={},
        dataset=dataset,
        destination="duckdb",
        reading="full",
        keeps_state=False,
        state={},
        seconds={},
    )
