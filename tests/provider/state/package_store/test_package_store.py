"""Where packages are kept: a folder, and an object store through Airflow's own file systems."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nilus.state.package_store import MARKER, PackageStore
from nilus.errors import StateError, WorkflowError
from nilus.protocol.job import Run

RUN = Run(
    state_key="shop/orders ü",
    dag_id="d",
    task_id="t",
    map_index=-1,
    run_id="r",
    run_type="scheduled",
    try_number=1,
    repository="",
    commit="c",
)
FILES = {"schema.json": b"{}", "new_jobs/orders.1.parquet": b"PAR1" + bytes(range(256)) * 40}


@pytest.fixture(params=["folder", "s3"])
def root(request, tmp_path, monkeypatch):
    """The root of a store: a path, or a bucket that Airflow reaches by a connection."""
    if request.param == "folder":
        return str(tmp_path / "store")
    server, bucket = request.getfixturevalue("s3"), request.getfixturevalue("s3_bucket")
    connection = {
        "conn_type": "aws",
        "login": server.access_key,
        "password": server.secret_key,
        "extra": {"endpoint_url": server.endpoint, "region_name": server.region},
    }
    monkeypatch.setenv("AIRFLOW_CONN_PACKAGES", json.dumps(connection))
    return f"s3://packages@{bucket}/kept"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    (folder / "new_jobs").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def _manifest(run_id="r"):
    document = {
        "run": {"dag_id": "d", "task_id": "t", "map_index": -1, "run_id": run_id},
        "files": dict.fromkeys(FILES, ""),
    }
    return json.dumps(document)


def test_a_package_comes_back_as_it_was_and_is_gone_when_its_run_is_over(root, package, tmp_path):
    store = PackageStore(root, RUN.state_key)
    assert store.find() == []
    where = store.put("1.5", str(package), _manifest())
    again = PackageStore(root, RUN.state_key)
    assert again.find() == [{"load_id": "1.5", "manifest": _manifest(), "complete": True, "where": where}]
    again.get("1.5", str(tmp_path / "fetched"))
    assert {name: (tmp_path / "fetched" / name).read_bytes() for name in FILES} == FILES
    again.remove_settled(["1.5"], run=RUN)
    assert store.find() == []


def test_keys_do_not_see_each_other_s_packages(root, package):
    PackageStore(root, "shop.orders").put("1.5", str(package), _manifest())
    for key in ("shop-orders", "shop", "shop.orders.1", "shop/orders"):
        assert PackageStore(root, key).find() == []


def test_what_lacks_its_marker_is_not_complete_and_goes_with_its_own_run_only(root, package):
    store = PackageStore(root, RUN.state_key)
    for load_id, run_id in (("1.5", "r"), ("2.5", "other")):
        store.put(load_id, str(package), _manifest(run_id))
        with store._store() as (files, folder):
            files.rm_file(f"{folder}/{load_id}/{MARKER}")
    assert [item["complete"] for item in store.find()] == [False, False]
    store.remove_settled([], run=RUN)
    assert [item["load_id"] for item in store.find()] == ["2.5"]


def test_a_changed_manifest_is_not_complete(root, package):
    store = PackageStore(root, RUN.state_key)
    store.put("1.5", str(package), _manifest())
    with store._store() as (files, folder):
        files.pipe_file(f"{folder}/1.5/manifest.json", _manifest("other").encode())
    assert [item["complete"] for item in store.find()] == [False]


def test_a_store_that_cannot_be_reached_may_be_tried_again(tmp_path, package):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StateError, match="The package store cannot be used") as caught:
        PackageStore(str(tmp_path / "file"), "k").put("1.5", str(package), _manifest())
    assert caught.value.retryable


@pytest.mark.parametrize("root", ["relative/path", "ftp://server/path", "s3://", "https://bucket/x"])
def test_what_is_no_place_for_packages_is_refused_with_what_would_be(root):
    with pytest.raises(WorkflowError, match="package_store cannot be used") as caught:
        PackageStore(root, "k")
    assert "s3://" in caught.value.expected


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "new_jobs/../../x", "new_jobs/..", "a/b/c", "new_jobs\\x", "", "new_jobs/x\n"]
)
def test_a_manifest_names_files_inside_its_package_alone(root, package, tmp_path, name):
    store = PackageStore(root, RUN.state_key)
    forged = json.dumps({"run": {}, "files": {name: ""}})
    with pytest.raises(StateError, match="names no files of its own") as caught:
        store.put("1.5", str(package), forged)
    assert not caught.value.retryable


@pytest.mark.parametrize("load_id", ["../1.5", "/1.5", "a/b", ".."])
def test_a_load_id_is_a_folder_of_the_key(root, package, load_id):
    with pytest.raises(StateError, match="load id"):
        PackageStore(root, RUN.state_key).put(load_id, str(package), _manifest())


def test_packages_in_a_folder_are_open_to_nobody_else(tmp_path, package):
    store = PackageStore(str(tmp_path / "store"), RUN.state_key)
    store.put("1.5", str(package), _manifest())
    (kept,) = (tmp_path / "store").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o700
    kept.chmod(0o755)
    store.put("2.5", str(package), _manifest())
    assert kept.stat().st_mode & 0o777 == 0o700
