"""Where a source's imports are looked for."""

from __future__ import annotations

import importlib
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from nilus.runtime.source.source_loader import load_from_text


def import_roots(base_dir: Path, checkout: Path, extra_path: Iterable[str | Path] = ()) -> None:
    """Make `base_dir`, the checkout's root and the source's own requirements importable in this process.

    `base_dir` comes first, then the checkout: behind the standard library, before everything that is installed. So a
    repository's `utils.py` is the one its sources get, and a file named like a module of the standard library hides
    nothing from anyone (its author reaches it by a relative import). Nothing is written into the checkout, which other
    tasks share: byte code is not kept, and none that lies there is run.

    Args:
        base_dir: the folder with the source's modules, inside `checkout`.
        checkout: the checkout's root.
        extra_path: folders of packages that come after everything else. Their `.pth` files are honoured, but what those
            put on the path stays behind, too.
    """
    sys.dont_write_bytecode = True
    load_from_text(checkout)
    roots = list(dict.fromkeys([str(base_dir.absolute()), str(checkout.absolute())]))
    path = [entry for entry in sys.path if entry not in roots]
    position = _after_standard_library(path)
    path[position:position] = roots
    sys.path[:] = path
    for folder in extra_path:
        site.addsitedir(str(folder))
    added = [entry for entry in sys.path if entry not in path]
    sys.path[:] = [*path, *added]
    importlib.invalidate_caches()


def _after_standard_library(path: list[str]) -> int:
    """Return the position behind the last entry that holds the standard library, or 0 if there is none."""
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    archive = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    position = 0
    for index, entry in enumerate(map(Path, path)):
        if entry.name in (archive, "lib-dynload") or entry.resolve() == stdlib:
            position = index + 1
    return position
