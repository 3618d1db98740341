"""The package store: normalized load packages, kept outside of the worker until the run that made them is over.

One folder a state key, in it one a package: `manifest.json` first, the files it names, and the marker `complete` last,
which holds the manifest's digest. A package without its marker does not count.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nilus.errors import StateError, WorkflowError
from nilus.values.names import check_load_id
from nilus.values.schemes import SCHEMES

if TYPE_CHECKING:
    from nilus.protocol.events import PackageRequest
    from nilus.protocol.job import Run

log = logging.getLogger(__name__)

FOLDER = "nilus-packages-v1"
MANIFEST = "manifest.json"
MARKER = "complete"
_NAMES = ("dag_id", "task_id", "map_index", "run_id")

_OBJECT_STORES = {name: scheme.object_store for name, scheme in SCHEMES.items() if scheme.object_store}
_READABLE_LENGTH = 80
_INSIDE = re.compile(r"[^/\\\x00-\x1f]+(/[^/\\\x00-\x1f]+)?")


class PackageStore:
    """The packages of one state key.

    Args:
        root: an absolute path, or the address of a folder in an object store: `s3://bucket/path`, `gs://…`, `az://…`;
            `s3://connection@bucket/path` names the Airflow connection with the credentials.
        key: the state key.

    Raises:
        WorkflowError: `root` is neither.
    """

    def __init__(self, root: str, key: str) -> None:
        self._root = _address(root)
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", key).strip(".-")[:_READABLE_LENGTH]
        self._name = f"{FOLDER}/{readable}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self._connected: tuple[Any, str] | None = None

    def answer(self, request: PackageRequest) -> dict[str, Any]:
        """Do what the child asks for; see `PackageRequest`.

        Raises:
            StateError: the store cannot be reached, or lacks a file.
        """
        match request.action:
            case "find":
                return {"packages": self.find()}
            case "put":
                return {"where": self.put(request.load_id, request.folder, request.manifest)}
            case "get":
                self.get(request.load_id, request.folder)
                return {}
        raise ValueError(f"expected find, put or get, found {request.action!r}")

    def find(self) -> list[dict[str, Any]]:
        """Return the packages of the key, complete or not.

        Raises:
            StateError: the store cannot be reached.
        """
        with self._store() as (files, folder):
            files.invalidate_cache()
            names = {
                PurePosixPath(path).relative_to(folder).parts[0]
                for path in map(_without_slash, files.find(folder) if files.exists(folder) else ())
            }
            return [self._read(files, folder, name) for name in sorted(names)]

    def put(self, load_id: str, folder: str, manifest: str) -> str:
        """Store a package; return its address as it may be shown.

        Args:
            load_id: the package's.
            folder: where its files are.
            manifest: its text; it names the files.

        Raises:
            StateError: the store cannot be written.
        """
        with self._store() as (files, root):
            target = f"{root}/{check_load_id(load_id)}"
            if self._root.startswith("file://"):
                _make_private(Path(root).parent)
            files.makedirs(target, exist_ok=True)
            files.pipe_file(f"{target}/{MANIFEST}", manifest.encode())
            for name in _files_of(manifest):
                files.makedirs(str(PurePosixPath(target, name).parent), exist_ok=True)
                files.put_file(f"{folder}/{name}", f"{target}/{name}")
            files.pipe_file(f"{target}/{MARKER}", _digest(manifest).encode())
        return self._where(load_id)

    def get(self, load_id: str, folder: str) -> None:
        """Bring the files of a package into a folder.

        Raises:
            StateError: the store cannot be reached, or a file is missing.
        """
        with self._store() as (files, root):
            for name in _files_of(files.cat_file(f"{root}/{check_load_id(load_id)}/{MANIFEST}")):
                path = PurePosixPath(folder, name)
                Path(path.parent).mkdir(parents=True, exist_ok=True)
                files.get_file(f"{root}/{load_id}/{name}", str(path))

    def remove_settled(self, load_ids: Iterable[str], *, run: Run) -> None:
        """Remove packages that are not needed any more. What cannot be removed stays, and the log says so.

        Args:
            load_ids: of loads that the record, or the run that made them, knows to be over.
            run: the run that is over: what it left incomplete goes as well.
        """
        over = set(load_ids)
        try:
            for package in self.find():
                if package["load_id"] in over or (not package["complete"] and _is_of(package["manifest"], run)):
                    self._remove(package["load_id"])
        except StateError as problem:
            log.warning("Packages that are not needed any more stay in the package store: %s", problem)

    def _remove(self, load_id: str) -> None:
        with self._store() as (files, root):
            folder = f"{root}/{load_id}"
            if files.exists(
                f"{folder}/{MARKER}"
            ):  # first, so that what is left by a death in the middle does not count
                files.rm_file(f"{folder}/{MARKER}")
            files.rm(folder, recursive=True)

    def _read(self, files: Any, folder: str, load_id: str) -> dict[str, Any]:
        texts = [
            files.cat_file(path).decode(errors="replace") if files.exists(path) else ""
            for path in (f"{folder}/{load_id}/{MANIFEST}", f"{folder}/{load_id}/{MARKER}")
        ]
        manifest, marker = texts
        return {
            "load_id": load_id,
            "manifest": manifest,
            "complete": bool(manifest) and marker == _digest(manifest),
            "where": self._where(load_id),
        }

    def _where(self, load_id: str) -> str:
        return f"{self._root}/{self._name}/{load_id}"

    @contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """Give the file system and the key's folder in it.

        Raises:
            StateError: whatever goes wrong.
        """
        try:
            if self._connected is None:
                from airflow.sdk import ObjectStoragePath

                root = ObjectStoragePath(f"{self._root}/{self._name}")
                self._connected = (root.fs, _without_slash(str(root.path)))
            yield self._connected
        except StateError:
            raise
        except Exception as problem:
            raise StateError(
                f"The package store cannot be used: {type(problem).__name__}: {problem}",
                expected=f"to read and write {self._root}",
                found=type(problem).__name__,
                remedy="correct [nilus] package_store, its connection or its permissions; packages that are in it "
                "are kept, and loaded as soon as it can be reached",
                retryable=True,
            ) from problem


def _address(root: str) -> str:
    """Return the root as Airflow's object storage takes it, without a slash at its end.

    Raises:
        WorkflowError: neither an absolute path nor an address of a known kind.
    """
    scheme, separator, rest = root.partition("://")
    if not separator and root.startswith("/"):
        return "file://" + _without_slash(root)
    if not separator or scheme not in _OBJECT_STORES or not rest.strip("/"):
        raise WorkflowError(
            "[nilus] package_store cannot be used",
            expected="an absolute path, or an address that begins with s3://, gs:// or az://",
            found=repr(root),
            remedy="correct Airflow's configuration",
        )
    return f"{_OBJECT_STORES[scheme]}://{_without_slash(rest)}"


def _make_private(folder: Path) -> None:
    """Make the folder that holds all packages, which are rows in clear, with access for this user alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _without_slash(path: str) -> str:
    return path.rstrip("/")


def _digest(manifest: str) -> str:
    return hashlib.sha256(manifest.encode()).hexdigest()


def _files_of(manifest: str | bytes) -> list[str]:
    """Return the files that a manifest names, each inside the package's folder.

    Raises:
        StateError: it names something else.
    """
    try:
        names = [str(name) for name in json.loads(manifest)["files"]]
    except (ValueError, TypeError, KeyError):
        names = [""]
    wrong = [name for name in names if not _INSIDE.fullmatch(name) or ".." in name.split("/")]
    if wrong:
        raise StateError(
            "A package in the package store names no files of its own",
            expected="a manifest that names files inside its own folder",
            found=f"a file {wrong[0][:200]!r}",
            remedy="look who else writes to the package store; remove the package to extract again",
        )
    return names


def _is_of(manifest: str, run: Run) -> bool:
    try:
        # The names alone: another release's runs may have other fields.
        extracted_by = json.loads(manifest)["run"]
        return run.same_as(SimpleNamespace(**{name: extracted_by[name] for name in _NAMES}))
    except (ValueError, TypeError, KeyError):
        return False
