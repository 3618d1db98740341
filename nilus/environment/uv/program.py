"""The one place that runs uv.

It is run as a program, by its documented options, with fixed lists of arguments; what comes from a repository stands in
files. Its environment is made from nothing (`nilus.environment.uv.settings`), so no secret is ever an argument. It is
the leader of a process group that ends with it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nilus.environment.uv import failure
from nilus.environment.uv.settings import UvSettings
from nilus.errors import DependencyError
from nilus.programs import process
from nilus.programs.deadline import Deadline

_log = logging.getLogger("nilus.environment")

_COMMON = ("--no-config", "--no-progress", "--color", "never")


@dataclass(frozen=True, kw_only=True)
class Uv:
    """uv, for one interpreter.

    Args:
        settings: its environment.
        python: the interpreter packages are for.
        deadline: when whatever runs is ended.
        folder: a private folder for what it is given and what it leaves.
        keep_open: file descriptors it inherits: locks that are to live as long as it does.
    """

    settings: UvSettings
    python: str
    deadline: Deadline
    folder: Path
    keep_open: Sequence[int] = ()

    def compile(self, requirements: str, *, doing: str, preferred: Sequence[str] = ()) -> list[str]:
        """Resolve requirements.

        Args:
            requirements: what a requirements file may hold; `-c` lines lead to constraints.
            doing: what that is, for an error, after "uv could not".
            preferred: `name==version` lines: taken where nothing speaks against them.

        Returns:
            One line for each package, with its exact version or its address.

        Raises:
            UvFailed: there is no solution, or uv did not get that far.
            DependencyError: uv could not be run, or took too long.
        """
        path = self.folder / "requirements.in"
        path.write_text(requirements, encoding="utf-8")
        arguments = ["pip", "compile", "--no-header", "--no-annotate", *self._common()]
        if preferred:
            # What stands in the file the answer is also written to, uv keeps if it can.
            answer = self.folder / "preferred.txt"
            answer.write_text("".join(f"{line}\n" for line in preferred), encoding="utf-8")
            arguments += ["--output-file", str(answer)]
        output = self._run([*arguments, "--", str(path)], doing)
        return [line.strip() for line in output.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    def venv(self, folder: Path, *, doing: str) -> str:
        """Make a virtual environment of the interpreter, one that can be moved; return the path of its own interpreter.

        Args:
            folder: an empty folder.
            doing: what that is, for an error, after "uv could not".

        Raises:
            UvFailed: it did not work out.
            DependencyError: uv could not be run, or took too long.
        """
        self._run(["venv", "--relocatable", "--no-project", *_COMMON, "--python", self.python, str(folder)], doing)
        return str(folder / "bin" / "python")

    def find_python(self, wanted: str) -> str:
        """Return the path of an interpreter of this machine.

        Args:
            wanted: its version, `3.12` or `3.12.1`.

        Raises:
            UvFailed: there is none.
            DependencyError: uv could not be run, or took too long.
        """
        output = self._run(["python", "find", "--system", "--no-project", *_COMMON, wanted], "find a Python")
        return output.strip()

    def pythons(self) -> dict[str, str]:
        """Return the interpreters of this machine, as `find_python` looks for them: their paths and versions.

        Raises:
            UvFailed, DependencyError: as there.
        """
        output = self._run(["python", "list", "--only-installed", "--output-format", "json", *_COMMON], "list Pythons")
        return {str(found["path"]): str(found["version"]) for found in json.loads(output or "[]") if found["path"]}

    def install(self, lines: Sequence[str], target: Path | None, *, require_hashes: bool, doing: str) -> None:
        """Install exactly these lines, with byte code.

        Args:
            lines: exact versions or addresses, with their hashes.
            target: an empty folder; None for the environment of the interpreter itself.
            require_hashes: whether a line without a hash is an error.
            doing: what that is, for an error, after "uv could not".

        Raises:
            UvFailed: it did not work out.
            DependencyError: uv could not be run, or took too long.
        """
        path = self.folder / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        # Copies: a link would lead into uv's own cache, and a source that writes into its packages would write there.
        options = ["--no-deps", "--compile-bytecode", "--link-mode", "copy"]
        if target is not None:
            options += ["--target", str(target)]
        if require_hashes:
            options.append("--require-hashes")
        self._run(["pip", "install", *options, *self._common(), "-r", str(path)], doing)
        lock = (target or Path(self.python).parents[1]) / ".lock"
        lock.unlink(missing_ok=True)

    def _common(self) -> list[str]:
        return [*_COMMON, *self.settings.arguments, "--python", self.python]

    def _run(self, arguments: Sequence[str], doing: str) -> str:
        try:
            result = process.run(
                [find_uv(), *arguments],
                folder=self.folder,
                environ=self.settings.variables,
                deadline=self.deadline,
                keep_open=self.keep_open,
            )
        except OSError as problem:
            raise DependencyError(
                "uv could not be started.",
                found=problem.strerror or type(problem).__name__,
                remedy="See to it that the worker's user may run it, and that the machine has memory left.",
                retryable=True,
            ) from None
        if result.timed_out:
            raise failure.timed_out(doing, self.deadline, result.errors, self.settings.secrets)
        if result.flooded:
            raise DependencyError(f"uv could not {doing}: its answer is too long.", remedy="Look at the index.")
        if result.status:
            raise failure.UvFailed(doing, result.status, result.errors, self.settings.secrets)
        self._warn(result.errors)
        return result.output.decode("utf-8", "backslashreplace")

    def _warn(self, words: str) -> None:
        for line in words.splitlines():
            if line.startswith("warning: "):
                _log.warning("uv: %s", failure.quote_output(line.removeprefix("warning: "), self.settings.secrets))


def find_uv() -> str:
    """Return the path of the uv program that came with the package of this name.

    Raises:
        DependencyError: there is none.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as problem:
        raise DependencyError(
            "There is no uv beside this Python.",
            expected="the package uv, which airflow-provider-nilus depends on",
            found=str(problem).partition("\n")[0],
            remedy="Install uv into the image of the workers: pip install uv.",
        ) from None
