"""What is installed beside this Python, packed into wheels again: real packages to install without a network."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

_NOT_PACKED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def closure(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Return the installed packages that requirements lead to, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    pending = list(requirements)
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found[name] = found.get(name) or distribution(name)
            pending += _required(found[name], extra)
    return found


def _required(package: Distribution, extra: str) -> Iterator[Requirement]:
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def pack(package: Distribution, folder: Path) -> Path:
    """Write one installed package as a wheel; its programs are left out, its byte code is."""
    stem = f"{canonicalize_name(package.metadata['Name']).replace('-', '_')}-{package.version}"
    path = folder / f"{stem}-{_tag(package)}.whl"
    info = ""
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in package.files or ():
            name = str(file)
            if name.startswith("..") or name.endswith(".pyc") or name.startswith(str(Path(sys.prefix))):
                continue
            place = Path(str(file.locate()))
            if name.partition("/")[0].endswith(".dist-info"):
                info = name.partition("/")[0]
                if place.name in _NOT_PACKED:
                    continue
            content = place.read_bytes()
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
        archive.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return path


def _tag(package: Distribution) -> str:
    recorded = [
        line.partition(":")[2].strip()
        for line in (package.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag:")
    ]
    here = {str(tag) for tag in sys_tags()}
    return next(tag for tag in recorded if tag in here)
