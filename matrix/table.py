"""Tables of results: JSON that keeps the rows of earlier runs, and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from matrix import environments
from matrix.platforms import Asked, Installed
from matrix.resolution import Resolved
from matrix.runs import Tested


def write(name: str, rows: Sequence[Tested] | Sequence[Resolved] | Sequence[Asked] | Sequence[Installed]) -> None:
    """Write a table as JSON and as Markdown into `.matrix`, and print the latter.

    Rows of the table that is there stay, unless they say something of the same versions.
    """
    environments.HOME.mkdir(exist_ok=True)
    file = environments.HOME / f"{name}.json"
    table = {_key(row): row for row in (json.loads(file.read_text()) if file.exists() else [])}
    table |= {_key(asdict(row)): asdict(row) for row in rows}
    file.write_text(json.dumps([table[key] for key in sorted(table)], indent=2) + "\n")
    text = "\n".join(_lines([table[key] for key in sorted(table)])) + "\n"
    file.with_suffix(".md").write_text(text)
    print(f"\n{text}")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["airflow"], row["python"], row.get("tests", row.get("constraints", ""))


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{'---|' * len(rows[0])}"
    for row in rows:
        values = row.values()
        cells = [str(value) if isinstance(value, str | int) else ", ".join(value) or "none" for value in values]
        yield f"| {' | '.join(cells)} |"
