"""What is installed, put to uv as wheels that hold nothing but a name, a version and the extras.

As constraints they let a resolution use exactly what is there: no index is asked about it, so versions no index has
(editable, built locally, withdrawn) are no obstacle, and neither is a missing network. What the packages require for
themselves is left out: they are installed, whether or not all of that is. What their extras require is kept.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nilus.environment.python.installed_packages import InstalledPackage, holds

_EXTRA = re.compile(r"""extra == ["']([^"']+)["']""")
_WHEEL = "Wheel-Version: 1.0\nGenerator: nilus\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write(packages: Iterable[InstalledPackage], folder: Path) -> list[str]:
    """Write a wheel for each package whose version is known into an existing folder.

    Returns:
        The lines of a constraints file.
    """
    lines = []
    for package in packages:
        if package.version is None:
            continue
        stem = f"{package.name.replace('-', '_')}-{package.version}"
        path = folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in (("METADATA", "".join(_metadata(package))), ("WHEEL", _WHEEL), ("RECORD", "")):
                archive.writestr(f"{stem}.dist-info/{name}", text)
        lines.append(f"{package.name} @ {path.as_uri()}")
    return lines


def _metadata(package: InstalledPackage) -> Iterator[str]:
    yield f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
    extras: set[str] = set()
    for requirement in package.requirements():
        if not holds(requirement):
            extras.update(_EXTRA.findall(str(requirement.marker)))
            yield f"Requires-Dist: {requirement}\n"
    for name in sorted(extras):
        yield f"Provides-Extra: {name}\n"
