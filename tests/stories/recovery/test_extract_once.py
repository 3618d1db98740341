"""A source that consumes what it reads: what was extracted and stored once is loaded once, whoever recovers.

The source moves each file from input/ to processed/ before it yields the file's rows, so a second extraction finds
nothing. Every try has a working directory of its own, which is gone afterwards: each is another machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from itertools import product

import pytest

from airflow_provider_nilus.state.package_store import PackageStore
from nilus.errors import StateConflict, StateError
from nilus.protocol.job import SourceSpec

POINTS = (
    "stored",
    "before_journal",
    "after_journal",
    "first_job_begins",
    "first_job_done",
    "before_complete",
    "after_complete",
    "loaded",
    "end",
)
SINKS = ("duckdb", "postgres")
# In every run of the tests; the others are left to the long runs.
ALWAYS = (
    ("stored", "duckdb", "Letters"),
    ("first_job_done", "duckdb", "Letters"),
    ("after_complete", "duckdb", "Letters"),
    ("first_job_done", "postgres", "Letters"),
    ("after_complete", "duckdb", "PlainLetters"),
)
MATRIX = [
    pytest.param(*case, marks=[] if case in ALWAYS else [pytest.mark.soak])
    for case in product(POINTS, SINKS, ("Letters", "PlainLetters"))
]


class Post:
    """A world whose source reads files that are put into its inbox."""

    def __init__(self, world, folder):
        self.world = world
        self.folder = folder
        self.sent = Counter()
        for name in ("input", "processed"):
            (folder / name).mkdir(parents=True)
        world.environ["LETTERS"] = str(folder)
        world.source = "custom://Letters"
        world.packages = PackageStore(str(folder / "packages"), "d.t")

    def send(self, name, lines):
        (self.folder / "input" / name).write_text(" ".join(map(str, lines)))
        self.sent.update((name, line) for line in lines)

    def arrived(self):
        return Counter(tuple(row) for row in self.world.query("SELECT file, line FROM raw.letters"))

    def stored(self):
        return [package["load_id"] for package in self.world.packages.find()]

    def check(self):
        """Every line once, no orphan rows, nothing open in the journal, nothing left in the store."""
        assert self.arrived() == self.sent
        landed = {load_id for (load_id,) in self.world.query("SELECT load_id FROM raw._dlt_loads WHERE status = 0")}
        found = {load_id for (load_id,) in self.world.query("SELECT DISTINCT _dlt_load_id FROM raw.letters")}
        entries = [
            load_id for (load_id,) in self.world.query("SELECT load_id FROM raw._airflow_loads WHERE swept_at IS NULL")
        ]
        assert found <= landed
        assert sorted(entries) == sorted(landed & set(entries)), "an entry of a load that did not land, or one twice"
        assert self.stored() == []


@pytest.fixture
def make_post(make_world, tmp_path):
    def make(sink="duckdb", kind="Letters"):
        post = Post(make_world(sink), tmp_path / "post")
        post.world.source = f"custom://{kind}"
        return post

    return make


@pytest.mark.parametrize(("point", "sink", "kind"), MATRIX)
def test_what_was_consumed_is_loaded_once_by_the_retry_on_another_machine(point, sink, kind, make_post):
    post = make_post(sink, kind)
    post.send("a", range(5))
    post.world.run("1", 0)
    post.send("b", range(7))
    post.world.killed("2", 0, kill_at=point)
    assert not list((post.folder / "input").iterdir())
    post.send("c", range(3))
    again = post.world.run("2", 0)
    assert again.tables["letters"]["rows"] == 7
    post.world.run("3", 0)
    post.check()


@pytest.mark.parametrize(
    "point",
    ["first_job_done", *(pytest.param(point, marks=pytest.mark.soak) for point in ("stored", "after_complete"))],
)
def test_what_the_very_first_run_consumed_is_loaded_by_its_retry(point, make_post):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at=point)
    post.world.run("1", 0)
    post.check()


@pytest.mark.parametrize(
    ("point", "sink"),
    [
        ("stored", "duckdb"),
        ("first_job_done", "postgres"),
        pytest.param("stored", "postgres", marks=pytest.mark.soak),
        pytest.param("first_job_done", "duckdb", marks=pytest.mark.soak),
        pytest.param("after_journal", "duckdb", marks=pytest.mark.soak),
    ],
)
def test_the_next_run_loads_what_a_dead_one_consumed_and_goes_on_from_there(point, sink, make_post):
    post = make_post(sink)
    post.send("a", range(5))
    post.world.run("1", 0)
    post.send("b", range(7))
    post.world.killed("2", 0, kill_at=point)
    post.send("c", range(3))
    loaded = post.world.run("3", 0)
    assert loaded.tables["letters"]["rows"] == 3
    post.check()
    record = post.world.store.read("d.t")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["3", "2", "1"]
    assert record.state["letters"]["resources"]["letters"] == {"files": 3}
    runs = post.world.query("SELECT run_id, count(*) FROM raw._airflow_loads WHERE swept_at IS NULL GROUP BY run_id")
    assert sorted(runs) == [("1", 1), ("2", 1), ("3", 1)], "each load is entered as the run's that extracted it"


def test_a_fan_out_that_gives_the_work_to_another_map_index_loads_what_was_extracted(make_post):
    """Its state key names what is loaded; with a full read, a package of another instance would be left alone."""
    post = make_post(kind="PlainLetters")
    post.world.instance = {"map_index": 0, "keyed_by_name": True}
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="first_job_done")
    post.world.instance = {"map_index": 1, "keyed_by_name": True}
    assert post.world.run("1", 0).tables["letters"]["rows"] == 5
    post.check()


def test_recovery_that_dies_itself_is_recovered(make_post):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="first_job_done")
    for point in ("before_journal", "after_journal", "first_job_done", "before_complete"):
        post.world.killed("1", 0, kill_at=point)
    post.send("b", range(4))
    for point in ("after_journal", "first_job_done", "after_complete"):
        post.world.killed("2", 0, kill_at=point)
    post.world.run("2", 0)
    post.check()


def test_runs_without_state_leave_the_package_of_another_run_to_that_run(make_post):
    post = make_post(kind="PlainLetters")
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="first_job_done")
    post.send("b", range(4))
    assert post.world.run("2", 0).tables["letters"]["rows"] == 4
    assert len(post.stored()) == 1
    assert post.world.run("1", 0).tables["letters"]["rows"] == 5
    post.check()


def test_a_run_that_was_over_extracts_again_when_it_is_cleared(make_post):
    post = make_post(kind="PlainLetters")
    post.send("a", range(5))
    post.world.run("1", 0)
    post.sent.clear()
    post.send("b", range(4))
    post.world.run("1", 0)
    post.check()


def test_without_a_package_store_a_retry_extracts_again(make_post):
    post = make_post()
    post.world.packages = None
    post.send("a", range(5))
    post.world.run("1", 0)
    post.send("b", range(7))
    post.world.killed("2", 0, kill_at="first_job_done")
    post.world.run("2", 0)
    assert sum(post.arrived().values()) == 5, "this is what the store is for"


def test_a_run_that_is_alive_and_has_stored_its_package_is_left_alone(make_post):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="stored")
    post.world.live = {"1"}
    with pytest.raises(StateConflict, match="has extracted and is about to load"):
        post.world.run("2", 0)
    assert len(post.stored()) == 1
    post.world.live = set()
    post.world.run("2", 0)
    post.check()


def _manifest(post):
    (path,) = (post.folder / "packages").rglob("manifest.json")
    return path


def test_a_package_without_its_marker_does_not_count_before_its_load_began(make_post):
    post = make_post(kind="PlainLetters")
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="stored")
    (_manifest(post).parent / "complete").unlink()
    post.sent.clear()
    post.send("b", range(4))
    post.world.run("1", 0)
    post.check()


def test_a_package_that_lost_its_marker_after_its_load_began_is_refused(make_post):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="after_journal")
    (_manifest(post).parent / "complete").unlink()
    with pytest.raises(StateError, match="is not complete, although its load was begun") as caught:
        post.world.run("1", 0)
    assert str(_manifest(post).parent) in caught.value.found


def test_a_damaged_package_is_refused_before_anything_is_touched(make_post):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="first_job_done")
    (job, *_) = (path for path in (_manifest(post).parent / "new_jobs").iterdir() if path.name.startswith("letters"))
    whole = job.read_bytes()
    job.write_bytes(whole[:-1] + b"\0")
    with pytest.raises(StateError, match="is damaged") as caught:
        post.world.run("1", 0)
    assert job.name in caught.value.found
    job.write_bytes(whole)
    post.world.run("1", 0)
    post.check()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"dlt_version": "1.10.0"}, "dlt version 1.10.0"),
        ({"schema": "others"}, "schema others"),
        ({"dataset": "elsewhere"}, "dataset elsewhere"),
        ({"address": "postgresql://elsewhere"}, "address postgresql://elsewhere"),
        ({"start": "0123456789abcdef"}, "start state 0123456789abcdef"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_package_that_belongs_elsewhere_is_refused_with_what_differs(make_post, change, found):
    post = make_post()
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="after_journal")
    path = _manifest(post)
    document = json.loads(path.read_text())
    text = json.dumps({**document, **change}, sort_keys=True)
    files, folder = path.parent, post.world.packages
    path.write_text(text)
    (files / "complete").write_text(hashlib.sha256(text.encode()).hexdigest())
    assert [package["complete"] for package in folder.find()] == [True]
    with pytest.raises(StateError, match="was extracted, but cannot be loaded here") as caught:
        post.world.run("1", 0)
    assert found in caught.value.found
    assert str(files) in caught.value.remedy


def test_discarding_the_package_lets_the_run_extract_again(make_post):
    post = make_post(kind="PlainLetters")
    post.send("a", range(5))
    post.world.killed("1", 0, kill_at="first_job_done")
    shutil.rmtree(_manifest(post).parent)
    post.sent.clear()
    post.send("b", range(4))
    post.world.run("1", 0)
    post.check()


def test_nested_rows_and_every_disposition_are_loaded_from_the_package(make_world, tmp_path):
    world = make_world("duckdb")
    world.packages = PackageStore(str(tmp_path / "packages"), "d.t")
    world.run("a", 120)
    world.killed("b", 300, kill_at="second_job_done")
    loaded = world.run("b", 999)
    assert loaded.tables["items"]["rows"] == 180, "the package has what was there at the first try"
    world.check(300)
    world.run("c", 350, source=SourceSpec(address="custom://Everything", table="t", max_table_nesting=1))
    world.check(350)
