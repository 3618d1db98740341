"""`custom://Class` as a sink: a class of the repository takes the rows."""

from __future__ import annotations

import json

import pytest

from nilus.errors import DestinationError, NilusError, SourceError, WorkflowError
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks import sink as make_sink

SHOP = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource
def orders():
    yield [{"id": n, "items": [n]} for n in range(25)]
"""
SINK = """
import json
from pathlib import Path
from nilus import CustomDestination

class Queue(CustomDestination):
    def nilus_dest(self, uri, **kwargs):
        folder = Path(uri.partition("folder=")[2])
        self.folder = folder

        @nilus.destination(batch_size=10, name="queue")
        def queue(items, table):
            with (folder / "rows.jsonl").open("a") as file:
                file.write(json.dumps([table["name"], table["write_disposition"], list(items)], default=str) + "\\n")

        (folder / "options.json").write_text(json.dumps({"uri": uri, **kwargs}))
        return queue

    def nilus_run_params(self, uri, table, **kwargs):
        schema, _, name = table.partition(".")
        return {"dataset_name": f"q_{schema}", "table_name": name or None}

    def post_load(self):
        (self.folder / "done").write_text("yes")
"""


def files(sink=SINK, source=SHOP):
    header = "import nilus\nfrom nilus import CustomSource\n"
    return {"shop.py": source, "queue_sink.py": header + sink}


@pytest.fixture
def spec(tmp_path):
    def make(address=None, **options):
        address = address or f"custom://Queue?folder={tmp_path}"
        return SinkSpec(address=address, display_address="custom://Queue", dataset="raw", **options)

    return make


def sent(tmp_path):
    file = tmp_path / "rows.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("strategy", ["replace", "merge", "append"])
def test_rows_come_in_batches_with_their_table_and_its_write_disposition(run_pipeline, spec, tmp_path, strategy):
    outcome = run_pipeline(files(), spec(strategy=strategy), primary_key=["id"])
    batches = sent(tmp_path)
    assert [len(items) for _, _, items in batches] == [10, 10, 5]
    assert {(table, disposition) for table, disposition, _ in batches} == {("orders", strategy)}
    rows = [item for _, _, items in batches for item in items]
    assert sorted(row["id"] for row in rows) == list(range(25))
    assert set(rows[0]) == {"id", "items"}
    assert outcome.loaded.tables["orders"]["rows"] == 25
    assert outcome.loaded.destination == "custom"


def test_the_class_is_asked_for_dataset_and_table_and_told_when_all_is_loaded(run_pipeline, spec, tmp_path):
    outcome = run_pipeline(files(), spec(table="sales"))
    assert outcome.loaded.dataset == "q_raw"
    assert list(outcome.loaded.tables) == ["sales"]
    assert (tmp_path / "done").exists()
    options = json.loads((tmp_path / "options.json").read_text())
    assert options["uri"] == f"custom://Queue?folder={tmp_path}"
    assert options["dest_table"] == "raw"
    assert options["incremental_strategy"] == "replace"


def test_a_table_is_not_named_for_a_resource_that_names_its_own(run_pipeline, spec):
    own = SHOP.replace("@nilus.resource\n", '@nilus.resource(table_name="mine")\n')
    outcome = run_pipeline(files(source=own), spec(table="sales"))
    assert list(outcome.loaded.tables) == ["mine"]


def test_a_class_that_says_nothing_of_dataset_and_table_gets_those_of_the_workflow(run_pipeline, spec, tmp_path):
    before, after = SINK.split("    def nilus_run_params")
    quiet = before + "    def post_load" + after.split("    def post_load")[1]
    outcome = run_pipeline(files(quiet), spec())
    assert outcome.loaded.dataset == "raw"
    assert list(outcome.loaded.tables) == ["orders"]


def test_appending_with_a_cursor_is_refused_unless_the_author_accepts_duplicates(run_pipeline, spec, tmp_path):
    options = {"incremental_key": "id"}
    with pytest.raises(WorkflowError, match="at_least_once"):
        run_pipeline(files(), spec(strategy="append"), **options)
    assert sent(tmp_path) == []
    run_pipeline(files(), spec(strategy="append"), at_least_once=True, **options)
    run_pipeline(files(), spec(strategy="append"), at_least_once=True, **options)
    assert sum(len(items) for _, _, items in sent(tmp_path)) == 25


def test_a_class_that_is_not_there_is_told_with_those_that_are(run_pipeline, spec):
    with pytest.raises(SourceError, match="'Quee' is not in") as caught:
        run_pipeline(files(), spec("custom://Quee"))
    assert "Queue" in str(caught.value)


def test_a_source_is_no_destination(run_pipeline, spec):
    with pytest.raises(DestinationError, match="is no custom destination"):
        run_pipeline(files(), spec("custom://Shop"))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("return 'queue'", "returned no destination"),
        ("return None", "returned no destination"),
        ("raise OSError('no broker')", r"Broken \(queue_sink.py\).nilus_dest failed at queue_sink.py:8: OSError"),
    ],
)
def test_a_class_that_makes_no_destination_is_told_before_the_source_is_read(run_pipeline, spec, body, match):
    code = f"class Broken(nilus.CustomDestination):\n    def nilus_dest(self, uri):\n        {body}\n"
    read = SHOP.replace("    yield", '    raise RuntimeError("the source was read")\n    yield')
    with pytest.raises(DestinationError, match=match):
        run_pipeline(files("\n" + code, read), spec("custom://Broken"))


def test_a_function_that_fails_on_rows_fails_the_run_and_post_load_is_not_called(run_pipeline, spec, tmp_path):
    failing = SINK.replace(
        "            with (folder", '            raise ValueError("broker is full")\n            with (folder'
    )
    with pytest.raises(NilusError, match="broker is full"):
        run_pipeline(files(failing), spec())
    assert not (tmp_path / "done").exists()


def test_full_refresh_is_refused(run_pipeline, spec):
    with pytest.raises(DestinationError, match="full-refresh cannot be carried out"):
        run_pipeline(files(), spec(full_refresh=True))


def test_without_a_repository_there_is_nothing_to_reach(spec):
    with pytest.raises(DestinationError, match="without its repository"):
        make_sink(spec())


def test_secret_parameters_of_the_address_are_known(spec):
    target = make_sink(spec("custom://Queue?api_token=t0ken"), find=lambda address: None)
    assert target.secrets == ("t0ken",)
