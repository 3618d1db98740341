"""What is installed: the packages a child process finds, as the standard library finds them."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from nilus.environment.python import constraint_wheels
from nilus.environment.python.installed_packages import InstalledPackage, InstalledPackages, admits
from nilus.environment.python.interpreter import Interpreter


def record(folder: Path, entry: str, *, metadata: str | None = None, name: str = "", version: str = "") -> None:
    (folder / entry).mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" if metadata is None else metadata
    (folder / entry / ("METADATA" if entry.endswith("dist-info") else "PKG-INFO")).write_text(text)


def versions(*folders: Path) -> dict[str, str]:
    return {package.name: package.version_text for package in InstalledPackages.on(map(str, folders))}


def test_here_it_is_what_the_standard_library_finds() -> None:
    found = {
        canonicalize_name(one.metadata["Name"]): Version(one.version)
        for one in importlib.metadata.distributions(path=list(Interpreter.current().path))
    }
    ours = {package.name: package.version for package in InstalledPackages.on(Interpreter.current().path)}

    assert len(ours) > 100
    assert ours.pop(canonicalize_name("nilus")) == found[canonicalize_name("airflow-provider-nilus")]
    assert ours == found


def test_the_path_is_that_of_a_child_without_pythonpath(tmp_path: Path) -> None:
    record(tmp_path, "hidden-1.0.dist-info", name="hidden", version="1.0")
    code = (
        "import json, sys\nfrom nilus.environment.python.interpreter import Interpreter\n"
        f"sys.path.append({str(tmp_path / 'added')!r})\nprint(json.dumps([Interpreter.current().path, sys.path]))"
    )
    ours, whole = json.loads(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}, check=True
        ).stdout
    )
    child = json.loads(
        subprocess.run(
            [sys.executable, "-P", "-c", "import json, sys; print(json.dumps(sys.path))"],
            capture_output=True,
            text=True,
            env={},
            check=True,
        ).stdout
    )

    assert {str(tmp_path), str(tmp_path / "added")} <= set(whole)
    assert [entry for entry in child if entry in ours] == ours
    assert [entry for entry in child if "site-packages" in entry] == [
        entry for entry in ours if "site-packages" in entry
    ]


def test_names_and_versions_are_read_from_the_names_of_the_records(tmp_path: Path) -> None:
    record(tmp_path, "Plain.Name_x-1.0.dist-info")
    record(tmp_path, "local-2.0+cpu.1.dist-info")
    record(tmp_path, "epoch-1!2.0rc1.dist-info")
    record(tmp_path, "egg_one-3.0-py3.11.egg-info")
    record(tmp_path, "egg_two.egg-info", name="egg-two", version="4.0")
    record(tmp_path, "old-style-name-5.0.dist-info", name="old-style-name", version="5.0")
    (tmp_path / "egg_file-6.0-py3.11.egg-info").write_text("Metadata-Version: 1.0\nName: egg-file\nVersion: 6.0\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "module.py").touch()

    assert versions(tmp_path) == {
        "plain-name-x": "1.0",
        "local": "2.0+cpu.1",
        "epoch": "1!2.0rc1",
        "egg-one": "3.0",
        "egg-two": "4.0",
        "old-style-name": "5.0",
        "egg-file": "6.0",
    }


def test_what_pip_left_behind_is_not_installed(tmp_path: Path) -> None:
    record(tmp_path, "~equests-2.0.dist-info", name="requests", version="2.0")
    record(tmp_path, ".hidden-2.0.dist-info", name="hidden", version="2.0")

    assert versions(tmp_path) == {}


def test_the_first_folder_of_the_path_counts(tmp_path: Path) -> None:
    for folder, version in (("first", "1.0"), ("second", "2.0")):
        record(tmp_path / folder, f"Twice-{version}.dist-info")

    assert versions(tmp_path / "missing", tmp_path / "first", tmp_path / "second") == {"twice": "1.0"}
    assert versions(tmp_path / "second", tmp_path / "first") == {"twice": "2.0"}


def test_of_two_records_in_one_folder_the_whole_one_counts(tmp_path: Path) -> None:
    (tmp_path / "twice-9.0.dist-info").mkdir()
    record(tmp_path, "twice-1.0.dist-info")
    record(tmp_path, "twice-1.10.dist-info")

    assert versions(tmp_path) == {"twice": "1.10"}


def test_a_version_that_is_none_is_known_to_be_unknown(tmp_path: Path) -> None:
    record(tmp_path, "odd-of.course.dist-info", name="odd", version="of course")
    (tmp_path / "empty.dist-info").mkdir()
    installed = InstalledPackages.on([str(tmp_path)])

    assert versions(tmp_path) == {"odd": "of an unknown version", "empty": "of an unknown version"}
    odd = installed.get(canonicalize_name("odd"))
    assert odd is not None
    assert admits(Requirement("odd"), odd)
    assert not admits(Requirement("odd>=1"), odd)


def test_the_digest_depends_on_names_and_versions_alone(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        record(tmp_path / folder, "plain-1.0.dist-info", metadata=f"Name: plain\nVersion: 1.0\nHome-page: {folder}\n")
    record(tmp_path / "three", "other-1.0.dist-info")
    one, two, three = (InstalledPackages.on([str(tmp_path / name)]).digest for name in ("one", "two", "three"))

    assert one == two != three


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [
        ("2.0", "x", True),
        ("2.0", "x==2", True),
        ("2.0", "x<2", False),
        ("2.0+cpu", "x==2.0", True),
        ("2.0+cpu", "x==2.0+gpu", False),
        ("2.0rc1", "x>=1", True),
        ("2.0rc1", "x>=2", False),
        ("2.0", "x @ https://host/x.whl", False),
    ],
)
def test_versions_are_compared_as_the_standard_says(version: str, requirement: str, expected: bool) -> None:
    package = InstalledPackage(canonicalize_name("x"), Version(version), Path("/nowhere"))
    assert admits(Requirement(requirement), package) is expected


def test_owners_are_those_that_need_a_package_here_and_without_extras(tmp_path: Path) -> None:
    record(tmp_path, "needed-1.0.dist-info")
    for name, requirement in (
        ("b-plain", "Needed>=1"),
        ("a-plain", "needed (<2)"),
        ("not-here", "needed ; python_version < '3'"),
        ("optional", "needed ; extra == 'x'"),
        ("broken", "needed >=! 1"),
        ("other", "needed-more"),
    ):
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\nRequires-Dist: {requirement}\n"
        record(tmp_path, f"{name.replace('-', '_')}-1.dist-info", metadata=metadata)

    owners = InstalledPackages.on([str(tmp_path)]).owners(canonicalize_name("needed"))

    assert [(package.name, str(requirement)) for package, requirement in owners] == [
        ("a-plain", "needed<2"),
        ("b-plain", "Needed>=1"),
    ]


def test_wheels_for_uv_hold_names_versions_and_extras_and_nothing_else(tmp_path: Path) -> None:
    metadata = (
        "Metadata-Version: 2.1\nName: My.Tool\nVersion: 1!2.0+cpu\nRequires-Dist: plain>=1\n"
        "Requires-Dist: here ; python_version >= '3'\nRequires-Dist: more>=2 ; extra == 'Some_Extra'\n"
        "Requires-Dist: my.tool[some-extra] ; extra == 'all'\nRequires-Dist: !broken ; extra == 'all'\n"
    )
    record(tmp_path / "site", "my_tool-1!2.0+cpu.dist-info", metadata=metadata)
    record(tmp_path / "site", "odd-none.dist-info", name="odd", version="none")
    folder = tmp_path / "with space#1"
    folder.mkdir()

    (line,) = constraint_wheels.write(InstalledPackages.on([str(tmp_path / "site")]), folder)

    (path,) = folder.iterdir()
    assert line == f"my-tool @ {path.as_uri()}"
    name, version, _, _ = parse_wheel_filename(path.name)
    assert (name, version) == ("my-tool", Version("1!2.0+cpu"))
    with zipfile.ZipFile(path) as archive:
        (metadata_name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        fields = message_from_string(archive.read(metadata_name).decode())
        assert len(archive.namelist()) == 3
    assert fields.get_all("Requires-Dist") == [
        'more>=2; extra == "some-extra"',
        'my.tool[some-extra]; extra == "all"',
    ]
    assert fields.get_all("Provides-Extra") == ["all", "some-extra"]
