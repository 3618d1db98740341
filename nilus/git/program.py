"""The program git: where it is, and one run of it, started by GitPython."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from nilus.errors import RepositoryError
from nilus.programs import process
from nilus.programs.deadline import Deadline
from nilus.programs.process import Result
from nilus.programs.process_group import ProcessGroup

NO_GIT = (
    "Install the Debian package git in the image the workers run: on Astro add a line git to packages.txt, in a "
    "Dockerfile of your own run apt-get install git. Cloud Composer takes no packages of the system: choose an image "
    "version that has a newer git, or run the task in a pod with an image of your own."
)


def find_git() -> str:
    """Return the path of the git program.

    Raises:
        RepositoryError: there is none on the PATH.
    """
    path = shutil.which("git")
    if path is None:
        raise RepositoryError(
            "There is no git on this machine.",
            expected="the program git on the PATH of the worker",
            found=f"PATH={os.environ.get('PATH', '')}",
            remedy=NO_GIT,
        )
    return path


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    deadline: Deadline,
    keep_open: Sequence[int] = (),
) -> Result:
    """Run git and wait for it; the arguments are those of `process.run`.

    Raises:
        RepositoryError: git could not be started.
    """
    try:
        return process.run(
            arguments,
            folder=folder,
            environ=environ,
            deadline=deadline,
            keep_open=keep_open,
            start=_start,
        )
    except OSError as problem:
        missing = problem.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC)
        raise RepositoryError(
            "git could not be started.",
            found=problem.strerror or type(problem).__name__,
            remedy=NO_GIT if missing else "Look at the worker's memory and at its limits of processes and files.",
            retryable=True,
        ) from None


def _start(
    group: ProcessGroup, arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str], keep_open: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        from git.cmd import Git
        from git.exc import GitCommandNotFound
    except ImportError as problem:
        # GitPython looks for git when it is imported.
        raise RepositoryError(
            "GitPython does not find git.",
            expected="a git it can run",
            found=str(problem).strip().partition("\n")[0],
            remedy="Unset GIT_PYTHON_GIT_EXECUTABLE and GIT_PYTHON_REFRESH, or correct them.",
        ) from None
    try:
        handle = Git(folder).execute(
            [*_without_our_environment(environ), *arguments],
            as_process=True,
            shell=False,
            env=environ,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except GitCommandNotFound as problem:
        raise problem.__cause__ if isinstance(problem.__cause__, OSError) else OSError(str(problem)) from None
    started = handle.proc
    if started is None:
        raise OSError("GitPython started nothing")
    # The handle would send it a signal when it goes.
    handle.proc = None
    return group.adopt(started)


def _without_our_environment(environ: Mapping[str, str]) -> list[str]:
    """Return a command that starts another one with nothing of our environment but what `environ` replaces.

    GitPython lays an environment over this process's own and can take nothing away; env(1) can. Its arguments are
    names only.
    """
    env = shutil.which("env")
    if env is None:
        raise RepositoryError(
            "There is no env on this machine.",
            expected="the program env (of coreutils or busybox) on the PATH of the worker",
            found=f"PATH={os.environ.get('PATH', '')}",
            remedy="Install the Debian package coreutils.",
        )
    # The last two are GitPython's own.
    names = (os.environ.keys() | {"LANGUAGE", "LC_ALL"}) - environ.keys()
    return [env, *(part for name in sorted(names) for part in ("-u", name))]
