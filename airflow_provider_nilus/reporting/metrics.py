"""Metrics of a run, sent where the deployment sends Airflow's own (StatsD, OpenTelemetry, Datadog).

Named and tagged as Airflow names its own: `nilus.rows` and so on, with the tags `dag_id` and `task_id`.
The list is in docs/assets.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_nilus.reporting.run_report import Outcome


def send(outcome: Outcome, *, dag_id: str, task_id: str) -> None:
    """Send what is known of a run.

    Args:
        outcome: what it did.
        dag_id, task_id: whose.
    """
    stats = _stats()
    tags = {"dag_id": dag_id, "task_id": task_id}
    if outcome.cached is not None:
        stats.incr("nilus.checkout.cached" if outcome.cached else "nilus.checkout.fetched", tags=tags)
    for step, seconds in outcome.seconds.items():
        stats.timing(f"nilus.seconds.{step}", seconds * 1000, tags=tags)
    if outcome.peak_memory_bytes is not None:
        stats.gauge("nilus.peak_memory_bytes", outcome.peak_memory_bytes, tags=tags)
    if outcome.loaded is not None:
        stats.incr("nilus.rows", sum(outcome.rows.values()), tags=tags)
    if outcome.adopted:
        stats.incr("nilus.recovered", len(outcome.adopted), tags=tags)


def _stats() -> Any:
    """Return Airflow's own sender, which moved between versions."""
    try:
        from airflow.providers.common.compat.sdk import Stats
    except ImportError:  # before common-compat 1.16
        from airflow.stats import Stats
    return Stats
