"""Modules of added packages that an import does not lead to, as others of their name come first on the path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# How a package says that other folders on the path hold parts of it, too.
_SHARES = (b"extend_path", b"declare_namespace")


def hidden_modules(folder: Path, path: Iterable[str]) -> dict[str, str]:
    """Return the modules of a folder at the end of the path that cannot be imported, or that hide another.

    Args:
        folder: where packages were added.
        path: the folders before it.

    Returns:
        The names, and what is to be known of each.
    """
    folders = [Path(entry) for entry in path]
    found = {}
    for name, init in _modules(folder):
        if name in sys.stdlib_module_names:
            found[name] = "the standard library has a module of this name, which is used"
            continue
        first = next((place for entry in folders if (place := _place(entry, name)) is not None), None)
        if first is None or _shares(first):
            continue
        if first.name != name:
            found[name] = f"{first} is installed, and is used"
        elif init is not None and not _shares(init):
            found[name] = f"it hides the parts of {first}, which is installed"
    return found


def _modules(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield the top-level names of a folder; with the file that is run, or None for a namespace."""
    for entry in sorted(folder.iterdir()):
        name = entry.name.partition(".")[0]
        if not name.isidentifier() or name in ("__pycache__", "bin"):
            continue
        if entry.is_dir() and entry.name == name:
            init = entry / "__init__.py"
            yield name, init if init.exists() else None
        elif entry.suffix in (".py", ".so"):
            yield name, entry


def _place(folder: Path, name: str) -> Path | None:
    """Return the file that importing a name would run, or the folder if it is a part of a namespace."""
    package = folder / name
    if package.is_dir():
        init = package / "__init__.py"
        return init if init.exists() else package
    candidates = [folder / f"{name}.py", *folder.glob(f"{name}.*.so"), folder / f"{name}.so"]
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _shares(place: Path) -> bool:
    if place.name != "__init__.py":
        return False
    try:
        text = place.read_bytes()
    except OSError:
        return False
    return any(word in text for word in _SHARES)
