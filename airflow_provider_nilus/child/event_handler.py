"""What a child tells while it runs, and what it is told when it asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

_RECORDED = ("success", "gone")
_SHORTENED = 24
_ENDS = 8

if TYPE_CHECKING:
    from airflow_provider_nilus.reporting.run_report import Outcome
    from airflow_provider_nilus.state.package_store import PackageStore
    from airflow_provider_nilus.state.record_session import RecordSession
    from nilus.errors import ProcessError
    from nilus.protocol.events import Adopted, Event, Loaded, Question
    from nilus.protocol.job import Job


@dataclass(frozen=True)
class Conversation:
    """One run's conversation with its child, in which the source may have written whatever it likes.

    Args:
        job: what the child was told to do.
        turn: the run's turn at the record.
        outcome: where what becomes known is noted.
        packages: where the deployment keeps what was extracted; None if it does not.
        log: called as `logging.Logger.info` is, with what is for the task's log.
    """

    job: Job
    turn: RecordSession
    outcome: Outcome
    packages: PackageStore | None
    log: Callable[..., None]
    _asked: dict[str, str] = field(default_factory=dict, init=False)

    def hear(self, event: Event) -> None:
        """Log what the child reports, and note what is to be known later."""
        from airflow_provider_nilus.reporting.summary import progress_line
        from nilus.protocol.events import Adopted, Described, Prepared, Progress

        if isinstance(event, Progress):
            self.log("%s", progress_line(event))
        elif isinstance(event, Prepared):
            self.log("Prepared: load %s, tables %s", ", ".join(event.load_ids) or "none", event.tables)
        elif isinstance(event, Described):
            self.log("%s (%s) says of itself:\n%s", event.class_name, event.file, event.documentation)
            self.outcome.documentation = event.documentation
        elif isinstance(event, Adopted):
            self._check_adopted(event)
            self.turn.adopt(event)
            self.outcome.adopted.append(event)

    def answer(self, question: Question) -> dict[str, Any]:
        """Tell what Airflow knows of the task instances that journal entries belong to; bring or keep a package."""
        from airflow_provider_nilus.task import states
        from nilus.protocol.events import PackageRequest

        if isinstance(question, PackageRequest):
            if question.action not in ("find", "put", "get") or not self._is_inside_work_folder(question.folder):
                raise _refusal("find, put or get, with a folder in the run's work folder", question.folder)
            return self.packages.answer(question) if self.packages is not None else {"packages": []}
        self._check_entries(question.entries)
        if question.taking_back:
            self.turn.take_back()
        landed = [entry for entry in question.entries if entry["landed"]]
        answer = {**states.of_entries(question.entries), "moved": bool(landed) and self.turn.has_moved(landed)}
        recorded = () if self.job.state.adopt else _RECORDED
        may_be_adopted = {load for load, state in answer["states"].items() if state not in recorded} - {*answer["live"]}
        self._asked.update(
            {entry["load_id"]: entry["run_id"] for entry in landed if entry["load_id"] in may_be_adopted}
        )
        return answer

    def result(self, loaded: Loaded) -> Loaded:
        """Return what the child has loaded.

        Raises:
            ProcessError: it tells of another schema than the job's.
        """
        if not _is_same_schema(loaded.dataset, self.job.sink.dataset):
            raise _refusal(f"the result of a load into {self.job.sink.dataset}", f"one into {loaded.dataset[:80]!r}")
        return loaded

    def _check_adopted(self, event: Adopted) -> None:
        if self._asked.get(event.load_id) != event.run_id:
            raise _refusal(
                "only complete loads to be adopted that Airflow was asked about, each for its own run",
                f"load {event.load_id} of run {event.run_id[:80]!r}",
            )

    def _check_entries(self, entries: list[dict[str, Any]]) -> None:
        from nilus.protocol.events import check_entry

        for entry in entries:
            try:
                check_entry(entry)
            except ValueError as problem:
                raise _refusal("rows of the journal", str(problem)) from None
            if entry["state_key"] != self.job.run.state_key:
                raise _refusal(f"rows of {self.job.run.state_key!r}", f"one of {entry['state_key'][:80]!r}")

    def _is_inside_work_folder(self, folder: str) -> bool:
        return not folder or Path(folder).resolve().is_relative_to(Path(self.job.place.work_dir).resolve())


def _is_same_schema(name: str, asked: str) -> bool:
    """Tell whether a destination may have made `name` of the schema that was asked for: naming changes case and marks.

    Names that are too long for a destination are shortened in the middle. dlt's snake_case writes `+`, `*` and the last
    `_` of a name as x, `@` as a, `|` as l.
    """
    folded, wanted = (re.sub(r"[^0-9b-km-wyz]", "", text.casefold()) for text in (name, asked))
    return folded == wanted or (len(wanted) > _SHORTENED and folded[:_ENDS] == wanted[:_ENDS])


def _refusal(expected: str, found: str) -> ProcessError:
    from nilus.errors import ProcessError

    return ProcessError(
        "The child process sent something that does not belong to its run.",
        expected=expected,
        found=found,
        remedy="see to it that the source writes to no file descriptor it has not opened",
        retryable=False,
    )
