"""Where a source's imports are looked for. Each case runs in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sys
from pathlib import Path
from nilus.runtime.source.import_roots import import_roots
base_dir, checkout, *extra = sys.argv[1:-1]
import_roots(Path(base_dir), Path(checkout), extra)
exec(sys.argv[-1])
"""


def run(base_dir: Path, checkout: Path, *extra: Path, program: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(base_dir), str(checkout), *map(str, extra), program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def checkout_with(tmp_path: Path, **files: str) -> tuple[Path, Path]:
    checkout = tmp_path / "checkout"
    base_dir = checkout / "sources"
    base_dir.mkdir(parents=True)
    for name, text in files.items():
        (base_dir / f"{name}.py").write_text(text)
    return base_dir, checkout


def test_the_roots_stand_behind_the_standard_library_and_before_what_is_installed(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path)
    path = run(base_dir, checkout, program="print(json.dumps(sys.path))")
    first = path.index(str(base_dir))
    assert path[first + 1] == str(checkout)
    assert path[first - 1].endswith("lib-dynload")
    assert next(entry for entry in path if entry.endswith("site-packages")) in path[first + 2 :]
    assert not [entry for entry in path[:first] if entry.endswith("site-packages")]


def test_a_file_of_the_repository_wins_over_an_installed_module_of_its_name(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path, tabulate="here = True")
    program = "import tabulate; print(json.dumps([tabulate.here, tabulate.__file__]))"
    assert run(base_dir, checkout, program=program) == [True, str(base_dir / "tabulate.py")]


def test_a_file_named_like_a_module_of_the_standard_library_hides_nothing(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path, queue="here = True", colorsys="here = True")
    program = "import queue, colorsys; print(json.dumps([hasattr(queue, 'here'), hasattr(colorsys, 'here')]))"
    assert run(base_dir, checkout, program=program) == [False, False]


def test_the_base_dir_comes_before_the_checkout(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path, settings="place = 'base_dir'")
    (checkout / "settings.py").write_text("place = 'checkout'")
    (checkout / "common_settings.py").write_text("place = 'checkout'")
    program = "import settings, common_settings; print(json.dumps([settings.place, common_settings.place]))"
    assert run(base_dir, checkout, program=program) == ["base_dir", "checkout"]


def test_a_repository_that_is_its_own_base_dir_is_on_the_path_once(tmp_path: Path) -> None:
    path = run(tmp_path, tmp_path, program="print(json.dumps(sys.path))")
    assert path.count(str(tmp_path)) == 1


def test_extra_folders_come_last_whatever_their_pth_files_say(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path)
    extra, linked, forced = tmp_path / "extra", tmp_path / "linked", tmp_path / "forced"
    for folder in (extra, linked, forced):
        folder.mkdir()
    (extra / "tabulate.py").write_text("here = True")
    (extra / "only_in_extra.py").write_text("")
    (linked / "only_in_linked.py").write_text("")
    (extra / "linked.pth").write_text(f"{linked}\nimport sys; sys.path.insert(0, {str(forced)!r})\n")
    program = "import tabulate, only_in_extra, only_in_linked\nprint(json.dumps([hasattr(tabulate, 'here'), sys.path]))"
    shadowed, path = run(base_dir, checkout, extra, program=program)
    assert shadowed is False
    assert set(path[-3:]) == {str(extra), str(linked), str(forced)}


def test_nothing_is_written_into_the_checkout(tmp_path: Path) -> None:
    base_dir, checkout = checkout_with(tmp_path, helper="value = 1")
    assert run(base_dir, checkout, program="import helper; print(helper.value)") == 1
    assert [path.name for path in checkout.rglob("*")] == ["sources", "helper.py"]
