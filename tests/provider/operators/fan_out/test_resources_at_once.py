"""Tasks that each load another resource of one source into one schema, all in the same moment."""

from __future__ import annotations

import base64
import contextlib
import json
import zlib

import pytest
from run_fixture import PipelineRunner
from sql_tables import SINKS

from nilus.errors import from_dict

NAMES = ("orders", "parts", "users")
ROWS = 300
# Every run waits in its extraction until all have begun theirs: none has then seen what another stores.
SOURCE = f"""
import pathlib, time
NAMES = {NAMES}

def rows(name, kind, folder, together):
    def read(number=nilus.sources.incremental("number", initial_value=-1)):
        (folder / name).touch()
        deadline = time.monotonic() + 120
        while len(list(folder.iterdir())) < together:
            assert time.monotonic() < deadline, "the others did not begin"
            time.sleep(0.02)
        begin = number.last_value + 1
        for n in range(begin, begin + {ROWS}):
            yield {{"number": n, "of": name, f"own_{{name}}": kind(n)}}
    return nilus.resource(read, name=name, write_disposition="append")

class Shop(CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, folder, kind, together, **kwargs):
        @nilus.source(name="shop")
        def shop():
            make = {{"int": int, "str": lambda n: f"n{{n}}"}}[kind]
            return [rows(name, make, pathlib.Path(folder), together) for name in NAMES]
        return shop()
"""


class FanOut:
    """Runs all resources at once, each with a state key of its own, and keeps each key's state."""

    def __init__(self, runner: PipelineRunner, sink) -> None:
        self._runner = runner
        self.sink = sink
        self.states: dict[str, dict] = {name: {} for name in NAMES}
        self._known: dict[str, list[str]] = {name: [] for name in NAMES}
        self._runs = 0

    def __call__(self, kind: str, names: tuple[str, ...] = NAMES) -> dict[str, dict[str, int]]:
        """Run once; return the rows of each table, by resource."""
        self._runs += 1
        folder = self._runner.folder / f"begun-{self._runs}"
        folder.mkdir()
        jobs = {
            name: self._runner.job(
                SOURCE,
                self.sink.spec(strategy="none"),
                options={"folder": str(folder), "kind": kind, "together": len(names)},
                resources=[name],
                state_key=f"shop.load.{name}",
                run_id=f"r{self._runs}",
                state=self.states[name],
                known_load_ids=list(self._known[name]),
            )
            for name in names
        }
        started = {name: PipelineRunner.start(job) for name, job in jobs.items()}
        found = {name: PipelineRunner.wait(*run)[0] for name, run in started.items()}
        failed = [result for result in found.values() if isinstance(result, dict)]
        if failed:
            raise from_dict(failed[0])
        for name, loaded in found.items():
            self.states[name] = loaded.state
            self._known[name] += loaded.load_ids
        return {
            name: {table: about["rows"] for table, about in loaded.tables.items()} for name, loaded in found.items()
        }

    def count(self, name: str) -> list[tuple[int, int]]:
        """Return the rows of a table, and how many numbers they have."""
        return self.sink.rows(f"SELECT count(*), count(DISTINCT number) FROM {self.sink.table(name)}")


@pytest.fixture(params=SINKS)
def fan_out(request, tmp_path, run_pipeline):
    return FanOut(run_pipeline, SINKS[request.param](request, tmp_path))


def test_every_row_comes_once_and_no_task_forgets_another_s_tables(fan_out):
    """Each stores the schema as it knew it when it began: without the tables of the others, or what they changed."""
    for run, kind in ((1, "int"), (2, "str")):
        assert fan_out(kind) == {name: {name: ROWS} for name in NAMES}
        for name in NAMES:
            assert fan_out.count(name) == [(run * ROWS, run * ROWS)]
            assert list(fan_out.states[name]["shop"]["resources"]) == [name]
            last = fan_out.states[name]["shop"]["resources"][name]["incremental"]["number"]["last_value"]
            assert last == run * ROWS - 1
        keys = fan_out.sink.rows(
            f"SELECT j.state_key, count(*) FROM {fan_out.sink.table('_airflow_loads')} j"
            f" JOIN {fan_out.sink.table('_dlt_loads')} l ON l.load_id = j.load_id AND l.status = 0"
            " GROUP BY 1 ORDER BY 1"
        )
        assert keys == [(f"shop.load.{name}", run) for name in NAMES]
    for name in NAMES:  # the second run knew that numbers had been there, whoever had stored its schema last
        numbers_and_texts = f"SELECT count(own_{name}), count(own_{name}__v_text) FROM {fan_out.sink.table(name)}"
        assert fan_out.sink.rows(numbers_and_texts) == [(ROWS, ROWS)]
    fan_out("str", names=NAMES[:1])
    tables = stored_tables(fan_out)
    for name in NAMES:
        assert {"number", "of", f"own_{name}", f"own_{name}__v_text"} <= tables[name]["columns"].keys()


def stored_tables(fan_out) -> dict[str, dict]:
    """Return the tables of the source's newest stored schema."""
    ((text,),) = fan_out.sink.rows(
        f"SELECT schema FROM {fan_out.sink.table('_dlt_version')} WHERE schema_name = 'shop'"
        " ORDER BY inserted_at DESC LIMIT 1"
    )
    with contextlib.suppress(ValueError):  # a text that is not compressed
        text = zlib.decompress(base64.b64decode(text, validate=True)).decode()
    return json.loads(text)["tables"]
