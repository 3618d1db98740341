"""A normalized load package outside of the folder it was made in: whose it is, what it holds, how it is put back.

dlt makes a package in the working directory of one try and loads it from there. Kept elsewhere, it can be loaded by
another worker: the same rows under the same load id, with the state that belongs to them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import dlt
from dlt import Pipeline
from dlt.common.schema import Schema
from dlt.common.schema.utils import get_write_disposition

from nilus.errors import StateError
from nilus.protocol.job import Job, Run
from nilus.runtime.engine.internals import packages
from nilus.runtime.rows.reading.decision import Reading
from nilus.values.names import check_load_id
from nilus.values.secret_texts import cut

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is known of a package: its manifest.

    Attributes:
        load_id: dlt's.
        run: who extracted it.
        reading: what was read.
        source: file and class.
        start: digest of the state the extraction started from; empty where it does not matter.
        schema: name of the source's schema.
        destination, address, dataset: where it belongs; the address as it may be shown.
        dlt_version: of the dlt that made it.
        reloadable: tables into which the same rows may be loaded again: the replaced and the merged ones.
        files: SHA-256 by path below the package's folder.
    """

    load_id: str
    run: Run
    reading: Reading
    source: str
    start: str
    schema: str
    destination: str
    address: str
    dataset: str
    dlt_version: str
    reloadable: list[str]
    files: dict[str, str]
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as text."""
        return json.dumps(dataclasses.asdict(self), default=datetime.isoformat, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Package:
        """Read what `to_json` wrote.

        Raises:
            StateError: it is no manifest, or of another format.
        """
        try:
            document = json.loads(text)
            _check_format(document["format"])
            reading = document.pop("reading")
            for end in ("start", "end"):
                reading[end] = reading[end] and datetime.fromisoformat(reading[end])
            package = cls(**{**document, "run": Run(**document["run"]), "reading": Reading(**reading)})
            check_load_id(package.load_id)
            _check_paths(package.files)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise StateError(
                "A package in the package store cannot be used",
                expected=f"a manifest of format {FORMAT}",
                found=cut(str(problem), 200),
                remedy="another version of this provider wrote it, or somebody changed it: load it with that version, "
                "or remove it to extract again",
            ) from None
        return package


def describe(
    pipeline: Pipeline, load_id: str, job: Job, reading: Reading, *, source: str, state: dict[str, Any]
) -> tuple[Package, Path]:
    """Return the manifest of a normalized package and the folder it is in.

    Args:
        pipeline: it holds the package.
        load_id: of the package.
        job: the run that made it.
        reading: what was read.
        source: file and class.
        state: plain, what the extraction started from.
    """
    folder = packages.package_folder(pipeline, load_id)
    names = [name for name in packages.SINGLE_FILES if (folder / name).is_file()]
    jobs = folder / packages.JOBS_FOLDER
    names += [f"{jobs.name}/{path.name}" for path in sorted(jobs.iterdir())]
    tables = pipeline.default_schema.tables
    package = Package(
        load_id=load_id,
        run=job.run,
        reading=reading,
        source=source,
        start="" if job.sink.full_refresh else digest(state),
        schema=str(pipeline.default_schema_name),
        destination=pipeline.destination.destination_name,
        address=job.sink.display_address,
        dataset=job.sink.dataset,
        dlt_version=dlt.__version__,
        reloadable=[name for name in tables if get_write_disposition(tables, name) != "append"],
        files={name: _digest_of(folder / name) for name in names},
    )
    return package, folder


def check(package: Package, pipeline: Pipeline, job: Job, *, schema: str, where: str) -> None:
    """Refuse a package that does not belong here.

    Args:
        package: its manifest.
        pipeline: the one that would load it.
        job: the run that would.
        schema: name of the source's schema.
        where: address of the package, for the message.

    Raises:
        StateError: it was made for another key, place or source, by another dlt, or from another state.
    """
    here = {
        "state key": job.run.state_key,
        "schema": schema,
        "destination": pipeline.destination.destination_name,
        "address": job.sink.display_address,
        "dataset": job.sink.dataset,
        "dlt version": dlt.__version__,
        "start state": package.start and digest(job.state.sources if package.reading.reads_state else {}),
    }
    there = {
        "state key": package.run.state_key,
        "schema": package.schema,
        "destination": package.destination,
        "address": package.address,
        "dataset": package.dataset,
        "dlt version": package.dlt_version,
        "start state": package.start,
    }
    other = [name for name in here if here[name] != there[name]]
    if other:
        raise StateError(
            f"Load {package.load_id} of run {package.run.run_id} was extracted, but cannot be loaded here",
            expected=", ".join(f"{name} {here[name]}" for name in other),
            found=", ".join(f"{name} {there[name]}" for name in other),
            remedy=f"load it as it was extracted: run {package.run.run_id} again with what it ran with then; or, if "
            f"its source can be read again, remove {where}",
        )


def install(package: Package, folder: Path, pipeline: Pipeline) -> None:
    """Put the files of a package into a fresh pipeline, so that it loads them next.

    Args:
        package: its manifest.
        folder: where its files are; they are moved.
        pipeline: without packages of its own.

    Raises:
        StateError: files are missing or changed.
    """
    wrong = [
        name
        for name, digest in package.files.items()
        if not (folder / name).is_file() or _digest_of(folder / name) != digest
    ]
    if wrong:
        raise StateError(
            f"The package of load {package.load_id} is damaged",
            expected="the files its manifest names, as they were written",
            found=f"missing or changed: {', '.join(wrong[:5])}",
            remedy="restore it from a backup of the package store; or, if its source can be read again, remove it",
        )
    target = packages.make_package_folder(pipeline, package.load_id)
    for name in package.files:
        shutil.move(folder / name, target / name)
    schema = Schema.from_dict(json.loads((target / packages.SCHEMA_FILE).read_bytes()))
    pipeline.schemas.save_schema(schema)
    with pipeline.managed_state():
        pipeline.default_schema_name = schema.name  # type: ignore[assignment] # dlt declares None


def digest(state: dict[str, Any]) -> str:
    """Return a digest of a plain state."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_format(found: object) -> None:
    if found != FORMAT:
        raise ValueError(f"format {found!r}")


def _check_paths(files: dict[str, str]) -> None:
    for name in files:
        parts = PurePosixPath(name).parts
        if name not in packages.SINGLE_FILES and (
            len(parts) != 2
            or parts[0] != packages.JOBS_FOLDER
            or parts[1] in (".", "..")
            or not parts[1].isprintable()
            or "\\" in name
        ):
            raise ValueError(f"a file {name!r}")
