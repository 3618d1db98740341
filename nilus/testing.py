"""Tests for custom sources: a fixture that runs one into DuckDB, and what every source should keep.

Installed as a pytest plugin. `run_source` runs a source once, in a process of its own. `SourceTests` is a class to
inherit from: it runs a source several times and checks what Airbyte's and Meltano's kits for connectors check, too::

    from nilus.testing import SourceTests

    class TestOrders(SourceTests):
        base_dir = Path(__file__).parent.parent
        address = "custom://Orders?shop=test"
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

_TIMEOUT_SECONDS = 600
_FAR_FUTURE = "9990-01-01T00:00:00+00:00"
_LIKE_SECRETS = (
    r"AKIA[0-9A-Z]{16}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"(?i)\bbearer\s+[a-z0-9._~+/-]{16,}",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.",
    r"://[^\s/:@]+:(?!\*\*\*)[^\s/@]{3,}@",
)


@dataclass(frozen=True)
class SourceRun:
    """One run of a source.

    Attributes:
        database: the DuckDB file.
        schema: where the tables are.
        tables: rows, write disposition and columns with their types, by table.
        state: what the next run starts from, as plain JSON.
        load_ids: of the loads the state stands on.
        output: what was printed and logged.
        error: why the run failed; empty if it did not.
    """

    database: Path
    schema: str
    tables: dict[str, dict[str, Any]]
    state: dict[str, Any]
    load_ids: list[str]
    keeps_state: bool
    output: str = field(repr=False)
    error: str = ""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table as they are in the database now, dlt's own columns left out."""
        import duckdb

        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(f'SELECT * FROM "{self.schema}"."{table}"')  # noqa: S608
            names = [column[0] for column in found.description or ()]
            return [
                {name: value for name, value in zip(names, row, strict=True) if not name.startswith("_dlt_")}
                for row in found.fetchall()
            ]


def run(
    address: str,
    *,
    base_dir: Path | str,
    database: Path,
    table: str = "table",
    options: Mapping[str, Any] | None = None,
    sink_options: Mapping[str, Any] | None = None,
    after: SourceRun | None = None,
    limit: int | None = None,
    resources: list[str] | None = None,
    interval: tuple[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> SourceRun:
    """Run a source once into a DuckDB file, in a process of its own.

    Args:
        address: `custom://<ClassName>?…`.
        base_dir: the folder with the source's modules.
        database: the DuckDB file.
        table: `source-table`.
        options: further options of the workflow's source.
        sink_options: further options of its sink.
        after: the run whose state this one starts from; None for none.
        limit: end each resource after so many yields.
        resources: names of the resources to run; None for all.
        interval: start and end of what is to be read, ISO 8601.
        environ: further environment variables for the source.

    Raises:
        SourceError: there is no such folder.
    """
    from nilus.authoring.local_run import root_of

    checkout, _ = root_of(base_dir)
    schema = str((sink_options or {}).get("dest-table", "main_data"))
    request = {
        "workflow": {
            "repo": {"url": "https://localhost/local"},
            "source": {"address": address, "options": {"source-table": table, **(options or {})}},
            "sink": {"address": f"duckdb:///{database}", "options": {"dest-table": schema, **(sink_options or {})}},
        },
        "base_dir": str(Path(base_dir).resolve()),
        "checkout": str(checkout),
        "limit": limit,
        "resources": resources,
        "interval": interval,
        "environ": dict(environ or {}),
        "state": after.state if after else {},
        "load_ids": after.load_ids if after else [],
    }
    with tempfile.TemporaryDirectory(prefix="nilus-") as folder:
        result = Path(folder) / "result.json"
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nilus.authoring", str(result)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env=dict(os.environ),
        )
        answer = json.loads(result.read_text()) if result.exists() else {}
    loaded = answer.get("loaded", {})
    error = "" if loaded else _text(answer.get("failed")) or f"the process ended with {done.returncode}: {done.stderr}"
    return SourceRun(
        database=database,
        schema=schema,
        tables=loaded.get("tables", {}),
        state=loaded.get("state", {}),
        load_ids=[*(after.load_ids if after else []), *loaded.get("load_ids", [])],
        keeps_state=loaded.get("keeps_state", False),
        output=done.stdout + done.stderr,
        error=error,
    )


def _text(failed: dict[str, Any] | None) -> str:
    from nilus.errors import from_dict

    return str(from_dict(failed)) if failed else ""


@pytest.fixture
def run_source(tmp_path: Path) -> Callable[..., SourceRun]:
    """Run a source into a DuckDB file of this test: see `nilus.testing.run`, less its `database`."""

    def start(address: str, **arguments: Any) -> SourceRun:
        return run(address, **{"database": tmp_path / "test.duckdb", **arguments})

    return start


class SourceTests:
    """What every source should keep. Inherit, name the class `Test…`, and say where the source is.

    Attributes:
        base_dir: the folder with the source's modules.
        address: `custom://<ClassName>?…`.
        table: `source-table`.
        options: further options of the workflow's source.
        sink_options: further options of its sink.
        environ: further environment variables for the source.
        limit: end each resource after so many yields, for a source that has much to give; None for all.
        may_be_empty: whether it is right that a first run finds nothing.
    """

    base_dir: ClassVar[Path]
    address: ClassVar[str]
    table: ClassVar[str] = "table"
    options: ClassVar[Mapping[str, Any]] = {}
    sink_options: ClassVar[Mapping[str, Any]] = {}
    environ: ClassVar[Mapping[str, str]] = {}
    limit: ClassVar[int | None] = None
    may_be_empty: ClassVar[bool] = False

    @classmethod
    def _run(cls, database: Path, after: SourceRun | None = None) -> SourceRun:
        done = run(
            cls.address,
            base_dir=cls.base_dir,
            database=database,
            table=cls.table,
            options=cls.options,
            sink_options=cls.sink_options,
            environ=cls.environ,
            limit=cls.limit,
            after=after,
        )
        assert not done.error, f"{done.error}\n\n{done.output}"
        return done

    @pytest.fixture(scope="class")
    @classmethod
    def first(cls, tmp_path_factory: pytest.TempPathFactory) -> SourceRun:
        """A first run, from nothing."""
        return cls._run(tmp_path_factory.mktemp("source") / "first.duckdb")

    @pytest.fixture(scope="class")
    @classmethod
    def first_rows(cls, first: SourceRun) -> dict[str, Counter[str]]:
        """The rows of every table after the first run."""
        return _contents(first, first.tables)

    @pytest.fixture(scope="class")
    @classmethod
    def second(cls, first: SourceRun, first_rows: dict[str, Counter[str]]) -> SourceRun:  # noqa: ARG003
        """A second run after the first, into the same database."""
        return cls._run(first.database, first)

    def test_a_first_run_loads_rows(self, first: SourceRun) -> None:
        """Without an error, and with at least one row unless the source may be empty."""
        assert self.may_be_empty or any(table["rows"] for table in first.tables.values()), "no table got any row"

    def test_a_second_run_reads_only_what_is_new(
        self, first: SourceRun, first_rows: dict[str, Counter[str]], second: SourceRun
    ) -> None:
        """A source that keeps state and appends brings no row a second time; other tables hold what they held."""
        after = _contents(second, first.tables)
        for name, table in first.tables.items():
            if table["write_disposition"] == "append" and not first.keeps_state:
                continue
            twice = {row: count for row, count in after[name].items() if count > max(1, first_rows[name][row])}
            assert not twice, f"{name}: rows that were loaded again: {list(twice)[:3]}"

    def test_a_state_of_far_future_cursors_reads_nothing_and_breaks_nothing(
        self, first: SourceRun, tmp_path: Path
    ) -> None:
        """A cursor that is ahead of the data (a clock that went wrong, a source that was reset) is no error."""
        if not first.keeps_state or not first.state:
            pytest.skip("the source keeps no state")
        state, changed = _ahead(first.state)
        if not changed:
            pytest.skip("the state holds no date")
        ahead = SourceRun(first.database, first.schema, {}, state, [], keeps_state=True, output="")
        done = self._run(tmp_path / "ahead.duckdb", ahead)
        rows = {name: table["rows"] for name, table in done.tables.items() if table["write_disposition"] == "append"}
        assert not any(rows.values()), f"rows in spite of cursors in the year 9990: {rows}"

    def test_every_checkpoint_can_be_restarted_from(self, first: SourceRun, second: SourceRun, tmp_path: Path) -> None:
        """Each state, and none, gives the same again when a run starts from it once more: the rows, and the state."""
        again = self._run(tmp_path / "again.duckdb")
        assert set(again.tables) == set(first.tables)
        assert _cursors(again.state) == _cursors(first.state)
        once_more = self._run(tmp_path / "once_more.duckdb", first)
        assert {name: table["rows"] for name, table in once_more.tables.items()} == {
            name: table["rows"] for name, table in second.tables.items()
        }
        assert _cursors(once_more.state) == _cursors(second.state)

    def test_columns_and_their_types_are_stable(self, first: SourceRun, second: SourceRun) -> None:
        """A second run changes no type: no column `…__v_text` beside one of another type."""
        for run_ in (first, second):
            variants = [f"{name}.{c}" for name, table in run_.tables.items() for c in table["columns"] if "__v_" in c]
            assert not variants, f"columns of more than one type: {', '.join(variants)}"
        for name in first.tables.keys() & second.tables.keys():
            known = first.tables[name]["columns"]
            types = {c: kind for c, kind in second.tables[name]["columns"].items() if c in known}
            assert types == {c: known[c] for c in types}, f"{name}: types that changed"

    def test_the_state_serialises_and_stays_small(self, first: SourceRun, second: SourceRun) -> None:
        """As JSON that is read back as it was; below a megabyte; not larger with every run that brings nothing."""
        for run_ in (first, second):
            text = json.dumps(run_.state)
            assert json.loads(text) == run_.state
            assert len(text) < 1_000_000, f"the state has {len(text):,} characters"

    def test_nothing_that_looks_like_a_secret_is_printed(self, first: SourceRun) -> None:
        """Neither a value of `environ` nor of the address that is secret by its name, nor anything of a known form."""
        assert not _secrets_in(first.output, self.address, self.environ), "the output holds a secret"


def _contents(run_: SourceRun, tables: Mapping[str, Any]) -> dict[str, Counter[str]]:
    return {name: Counter(repr(sorted(row.items())) for row in run_.rows(name)) for name in tables}


def _ahead(state: Any) -> tuple[Any, int]:
    """Return the state with every date in it moved into the far future, and how many there were."""
    if isinstance(state, dict):
        moved = {name: _ahead(value) for name, value in state.items()}
        return {name: value for name, (value, _) in moved.items()}, sum(count for _, count in moved.values())
    if isinstance(state, list):
        parts = [_ahead(value) for value in state]
        return [value for value, _ in parts], sum(count for _, count in parts)
    if isinstance(state, str) and (date := re.match(r"([\uf026-\uf02d]?)\d{4}-\d\d-\d\d(.*)", state, re.DOTALL)):
        return f"{date[1]}{_FAR_FUTURE if date[2] else _FAR_FUTURE[:10]}", 1
    return state, 0


def _cursors(state: Any) -> Any:
    """Return a state without what differs between runs that read the same: the hashes dlt finds repeated rows by."""
    if isinstance(state, dict):
        return {name: _cursors(value) for name, value in state.items() if name not in ("unique_hashes", "start_value")}
    return state


def _secrets_in(output: str, address: str, environ: Mapping[str, str]) -> bool:
    from urllib.parse import parse_qsl, urlsplit

    from nilus.values.redaction import looks_secret

    named = [*environ.items(), *parse_qsl(urlsplit(address).query)]
    values = [value for name, value in named if looks_secret(name) and len(value) > 3]
    return any(value in output for value in values) or any(re.search(form, output) for form in _LIKE_SECRETS)
