"""`nilus check`: is this a source that would run in Airflow?"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nilus.authoring.local_run import LocalRun
from nilus.authoring.local_state import LocalState
from nilus.authoring.target import Target
from nilus.errors import NilusError

DEFAULT_LIMIT = 10
_LARGE_STATE = 1_000_000


@dataclass
class Findings:
    """What a check found.

    Attributes:
        tables: rows, write disposition and columns with their types, by table.
        reading: what a run reads: `full`, `windowed`, `cursor` or `self-managed`.
        refused: what keeps the source from running.
        warnings: what its author should look at.
    """

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    reading: str = ""
    refused: list[NilusError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is refused."""
        return not self.refused

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as JSON-able data."""
        return {
            "ok": self.ok,
            "reading": self.reading,
            "tables": self.tables,
            "refused": [error.as_dict() for error in self.refused],
            "warnings": self.warnings,
        }


def check(target: Target, *, limit: int = DEFAULT_LIMIT, environ: dict[str, str] | None = None) -> Findings:
    """Read the source's requirements, load the class, run it with a limit into a database that is thrown away.

    Args:
        target: what to check; nothing is written to its sink.
        limit: end each resource after so many yields.
        environ: further environment variables for the source.

    Returns:
        The findings. Nothing of ours is raised: what is wrong is in them.
    """
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="nilus-check-") as folder:
        trial = Target(
            name=target.name,
            base_dir=target.base_dir,
            step=target.step,
            sink=f"duckdb:///{Path(folder) / 'trial.duckdb'}",
            source_options=target.source_options,
            sink_options=target.sink_options,
        )
        try:
            # Row by row, dlt says in its log in which columns no value was seen.
            with trial.local_run(limit=limit, environ=environ or {}, batching="off") as run:
                _requirements(run, findings)
                loaded = run.run(LocalState(key=run.state_key))
        except NilusError as error:
            findings.refused.append(error)
            return findings
    findings.tables, findings.reading = loaded.tables, loaded.reading
    _look_at_tables(findings)
    _look_at_state(loaded.state, findings)
    return findings


def _requirements(run: LocalRun, findings: Findings) -> None:
    from nilus.environment.requirements import file

    try:
        file.read(run.base_dir, run.checkout)
    except NilusError as error:
        findings.refused.append(error)


def _look_at_tables(findings: Findings) -> None:
    if not findings.tables:
        findings.warnings.append("no table came out: no resource yielded anything")
    for name, table in findings.tables.items():
        variants = [column for column in table["columns"] if re.search(r"__v_\w+$", column)]
        if variants:
            findings.warnings.append(f"{name}: values of more than one type: {', '.join(variants)}")
        if table["write_disposition"] == "append" and findings.reading == "full":
            findings.warnings.append(f"{name} appends and the source keeps no state: every run adds all rows again")


def _look_at_state(state: dict[str, Any], findings: Findings) -> None:
    size = len(json.dumps(state))
    if size > _LARGE_STATE:
        findings.warnings.append(f"the state has {size:,} characters; it is written whole after every run")
