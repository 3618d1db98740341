"""Rules that are taken out of the code, one at a time: the tests that hold a rule fail without it.

Each file beside this one holds the rules of a wing: the rule in words, the change that takes it out (`old` is in `file`
once, and becomes `new`), and the tests that have to fail then. The tests are run as `make test` runs them, in a copy of
the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PASSED, FAILED = 0, 1
_SECONDS = 900


@dataclass(frozen=True)
class Mutant:
    """One rule: `rule` in words, the change that takes it out, the tests that hold it."""

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutated(self, text: str) -> str:
        """Return the file's text without the rule."""
        return text.replace(self.old, self.new)

    def problem(self) -> str | None:
        """Say what is wrong with the entry, or None."""
        path = CHECKOUT / self.file
        if not path.is_file():
            return f"there is no file {self.file}: name the one that the rule has moved to"
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            return f"expected once in {self.file}, found {count} times: {self.old!r}. Write how the rule is written now"
        compile(self.mutated(text), self.file, "exec")
        missing = [test for test in self.tests if not (CHECKOUT / test.partition("::")[0]).exists()]
        return f"no such tests: {', '.join(missing)}" if missing or not self.tests else None


def _read(path: Path) -> list[Mutant]:
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


MUTANTS = {
    f"{path.stem}-{number}": mutant
    for path in sorted(HERE.glob("*.yaml"))
    for number, mutant in enumerate(_read(path), start=1)
}


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout, and an interpreter that imports from it before it looks at the checkout itself."""

    folder: Path
    python: Path

    def run(self, *tests: str) -> subprocess.CompletedProcess[str]:
        """Run tests in the copy, until the first that fails."""
        return subprocess.run(
            [str(self.python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=self.folder,
            # Two texts may have the same size and the same second: byte code would be taken for the other's.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
        )


def _environment(folder: Path, first: Path) -> Path:
    """Make an environment with the packages of this one, and `first` before them; return its interpreter."""
    packages = Path(sysconfig.get_path("purelib"))
    own = folder / packages.relative_to(sys.prefix)
    own.mkdir(parents=True)
    (own / "checkout.pth").write_text(f"{first}\nimport site; site.addsitedir({str(packages)!r})\n", encoding="utf-8")
    programs = Path(sys.prefix) / "bin"
    (folder / "bin").mkdir()
    for program in programs.iterdir():
        (folder / "bin" / program.name).symlink_to(program.resolve() if program.is_symlink() else program)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A copy of what git knows of the checkout."""
    root = tmp_path_factory.mktemp("mutants")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            target = root / "checkout" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, target)
    yield Copy(root / "checkout", _environment(root / "environment", root / "checkout"))
    shutil.rmtree(root)


def test_what_each_mutant_changes_is_in_its_file_once() -> None:
    problems = [f"{name} ({mutant.rule}): {found}" for name, mutant in MUTANTS.items() if (found := mutant.problem())]
    assert not problems, "\n".join(problems)


def test_each_rule_is_taken_out_once() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS.values()}) == len(MUTANTS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_tests_that_hold_the_rules_pass_as_long_as_the_rules_are_there(copy: Copy) -> None:
    run = copy.run(*dict.fromkeys(test for mutant in MUTANTS.values() for test in mutant.tests))
    assert run.returncode == PASSED, run.stdout[-4000:]


@pytest.mark.soak
@pytest.mark.timeout(_SECONDS + 60)
@pytest.mark.parametrize("name", MUTANTS)
def test_without_a_rule_the_tests_that_hold_it_fail(name: str, copy: Copy) -> None:
    mutant = MUTANTS[name]
    file = copy.folder / mutant.file
    whole = file.read_text(encoding="utf-8")
    file.write_text(mutant.mutated(whole), encoding="utf-8")
    try:
        run = copy.run(*mutant.tests)
    finally:
        file.write_text(whole, encoding="utf-8")
    assert run.returncode == FAILED, f"{mutant.rule} Nothing holds it:\n{run.stdout[-2000:]}"
