"""What a child tells while it runs, and what it is told when it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_nilus.reporting.run_report import Outcome
    from airflow_provider_nilus.state.package_store import PackageStore
    from airflow_provider_nilus.state.record_session import RecordSession
    from nilus.protocol.events import Event, Question


@dataclass(frozen=True)
class Conversation:
    """One run's conversation with its child.

    Args:
        turn: the run's turn at the record.
        outcome: where what becomes known is noted.
        packages: where the deployment keeps what was extracted; None if it does not.
        log: called as `logging.Logger.info` is, with what is for the task's log.
    """

    turn: RecordSession
    outcome: Outcome
    packages: PackageStore | None
    log: Callable[..., None]

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
            self.turn.adopt(event)
            self.outcome.adopted.append(event)

    def answer(self, question: Question) -> dict[str, Any]:
        """Tell what Airflow knows of the task instances that journal entries belong to; bring or keep a package."""
        from airflow_provider_nilus.task import states
        from nilus.protocol.events import PackageRequest

        if isinstance(question, PackageRequest):
            return self.packages.answer(question) if self.packages is not None else {"packages": []}
        if question.taking_back:
            self.turn.take_back()
        landed = [entry for entry in question.entries if entry["landed"]]
        return {**states.of_entries(question.entries), "moved": bool(landed) and self.turn.has_moved(landed)}
