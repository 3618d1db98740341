"""Finds the class that an address names among the files of a source's folder."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from nilus.class_resource import bind_decorated
from nilus.custom_source import CustomDestination, CustomSource
from nilus.errors import SourceError
from nilus.runtime.engine.failures import place
from nilus.runtime.engine.source_failures import explain_failures
from nilus.runtime.source import disposition
from nilus.runtime.source.import_roots import import_roots as import_roots
from nilus.runtime.source.source_folder import SourceFolder
from nilus.values.address import class_name as class_named_in

log = logging.getLogger(__name__)

# Files that say what a project needs, and of which none is read here.
_OTHER_FILES = ("requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile", "setup.py")

_ENTRY_POINTS = ("nilus_source", "dlt_source", "nilus_dest")


@dataclass(frozen=True)
class FoundClass:
    """A class that was found.

    Attributes:
        cls: the class.
        class_name: the name it is addressed by.
        file: where it is defined, relative to the checkout.
        checkout: absolute path of the checkout's root.
    """

    cls: type
    class_name: str
    file: str
    checkout: Path

    def __str__(self) -> str:
        return f"{self.class_name} ({self.file})"

    @cached_property
    def _instance(self) -> Any:
        with explain_failures(f"{self}: making an instance, which is done without arguments,", self.checkout):
            return self.cls()

    def instance(self) -> Any:
        """Return the one instance of this run.

        Raises:
            SourceError: the class cannot be instantiated without arguments.
        """
        return self._instance

    @cached_property
    def handles_incrementality(self) -> bool:
        """Whether the source keeps its own cursor; false for a class that does not say.

        Raises:
            SourceError: asking the source failed.
        """
        answer = getattr(self.instance(), "handles_incrementality", False)
        if callable(answer):
            with explain_failures(f"{self}: handles_incrementality", self.checkout):
                answer = answer()
        return bool(answer)


def find(address: str, *, base_dir: Path, checkout: Path, scratch: Path | None = None) -> FoundClass:
    """Find the class that `address` names in the top-level Python files of `base_dir`, `__init__.py` included.

    Files that define a class of that name are imported first, then those that mention it, then the others, each only
    if the ones before did not have it: a file that has nothing to do with the source is not executed, and a broken one
    does not matter. `import_roots` must have been called before.

    Args:
        address: `custom://<ClassName>?…`.
        base_dir: the folder with the source's modules, inside `checkout`.
        checkout: the checkout's root.
        scratch: a private folder, from which processes that the source starts import its modules.

    Raises:
        SourceError: the address is not a custom one; there is no such class; two files define different ones; or the
            file that has it cannot be imported.
    """
    wanted = class_named_in(address)
    folder = SourceFolder(base_dir, checkout, scratch)
    folder.warn_of_hidden_files()
    disposition.mark_unset()
    for files in _by_likelihood(folder, wanted):
        holders = {file: cls for file in files if (cls := _class_in(folder, file, wanted)) is not None}
        if holders:
            found = _only_class(folder, wanted, holders)
            bind_decorated(found.cls)
            for file, error in folder.broken.items():
                log.warning("%s was passed over: %s", folder.relative(file), _describe_error(folder, file, error))
            return found
    raise _not_found(folder, wanted)


def _by_likelihood(folder: SourceFolder, wanted: str) -> Iterator[list[Path]]:
    name = re.escape(wanted.encode())
    definition = re.compile(rb"^[ \t]*class[ \t]+" + name + rb"\b", re.MULTILINE)
    mention = re.compile(rb"\b" + name + rb"\b")
    texts = {file: file.read_bytes() for file in folder.files()}
    defining = [file for file, text in texts.items() if definition.search(text)]
    mentioning = [file for file, text in texts.items() if file not in defining and mention.search(text)]
    yield defining
    yield mentioning
    yield [file for file in texts if file not in defining and file not in mentioning]


def _class_in(folder: SourceFolder, file: Path, wanted: str) -> type | None:
    value = _attribute(folder.module(file), wanted)
    return value if inspect.isclass(value) and value not in (CustomSource, CustomDestination) else None


def _attribute(module: ModuleType | None, name: str) -> Any:
    try:
        return getattr(module, name, None)
    except Exception:  # a module's own `__getattr__`
        log.warning("Asking %s for %s failed", module, name, exc_info=True)
        return None


def _only_class(folder: SourceFolder, wanted: str, holders: dict[Path, type]) -> FoundClass:
    """Return the class; the same file under two module names is the same class, two files are not."""
    by_origin: dict[str, type] = {}
    for file, cls in holders.items():
        by_origin.setdefault(folder.relative(_origin(cls, file, folder)), cls)
    if len(by_origin) > 1:
        raise SourceError(
            f"Class {wanted!r} is defined more than once in {folder.name}",
            expected="one class of that name",
            found=f"different classes in {' and '.join(sorted(by_origin))}",
            remedy="rename one of them, or take it out of the folder",
        )
    origin, cls = next(iter(by_origin.items()))
    return FoundClass(cls, wanted, origin, folder.checkout)


def _origin(cls: type, holder: Path, folder: SourceFolder) -> Path:
    """Return the file that defines `cls`, or the one that holds it if that is not in the checkout."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file) if file and Path(file).is_relative_to(folder.checkout) else holder


def _not_found(folder: SourceFolder, wanted: str) -> SourceError:
    broken = {file: _describe_error(folder, file, error) for file, error in folder.broken.items()}
    culprit = next((file for file in broken if _defines(file, wanted)), None)
    if culprit is not None:
        return _cannot_import(folder, wanted, culprit)
    classes = _nearest_first(wanted, _known_classes(folder))
    found = [f"the classes {', '.join(classes)}" if classes else "no class of a source"]
    for file, module in folder.modules().items():
        value = _attribute(module, wanted)
        if value is not None:
            found.append(f"{folder.relative(file)} has a {type(value).__name__} of that name")
    if broken:
        found.append("files that cannot be imported: " + "; ".join(broken.values()))
    return SourceError(
        f"Class {wanted!r} is not in {folder.name}",
        expected=f"a class {wanted} in a Python file directly in {folder.name} (packages below are not searched)",
        found=", and ".join(found),
        remedy=_where_else(folder, wanted)
        or "write the class's name in source.address as it is written in Python"
        + (f": {classes[0]}?" if classes else ", and check repo.baseDir")
        + (", or correct the files that cannot be imported" if broken else ""),
    )


def _cannot_import(folder: SourceFolder, wanted: str, file: Path) -> SourceError:
    error = SourceError(
        f"Class {wanted!r} cannot be loaded: {folder.relative(file)} cannot be imported",
        expected=f"{folder.relative(file)} to be importable",
        found=_describe_error(folder, file, folder.broken[file]),
        remedy=_remedy(folder, folder.broken[file]),
    )
    error.__cause__ = folder.broken[file]
    return error


def _defines(file: Path, wanted: str) -> bool:
    return re.search(rf"^[ \t]*class[ \t]+{wanted}\b", file.read_text(errors="replace"), re.MULTILINE) is not None


def _known_classes(folder: SourceFolder) -> set[str]:
    return {
        name
        for module in folder.modules().values()
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value not in (CustomSource, CustomDestination)
        and any(hasattr(value, entry) for entry in _ENTRY_POINTS)
    }


def _nearest_first(wanted: str, names: set[str]) -> list[str]:
    def distance(name: str) -> float:
        return -difflib.SequenceMatcher(None, wanted.casefold(), name.casefold()).ratio()

    return sorted(names, key=lambda name: (distance(name), name))


def _where_else(folder: SourceFolder, wanted: str) -> str:
    """Return a remedy if a package below the folder defines the class, else an empty string."""
    for file in sorted(folder.base_dir.glob("*/**/*.py")):
        if _defines(file, wanted):
            return (
                f"{folder.relative(file)} defines it: import it in a file directly in {folder.name}, "
                "or set repo.baseDir to its folder"
            )
    return ""


def _describe_error(folder: SourceFolder, file: Path, error: BaseException) -> str:
    """Return file, line and exception of a failed import."""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{folder.relative(Path(error.filename))}:{error.lineno}"
        return f"{where}: {type(error).__name__}: {error.msg}"
    where = place(error, folder.checkout) or folder.relative(file)
    return f"{where}: {type(error).__name__}: {str(error).strip()}"


def _other_place(folder: SourceFolder) -> str:
    """Say which files with dependencies there are that do not count."""
    if (folder.base_dir / "requirements.txt").exists():
        return ""
    files = [parent / name for parent in {folder.base_dir, folder.checkout} for name in _OTHER_FILES]
    found = sorted(folder.relative(file) for file in files if file.is_file())
    return f" ({', '.join(found)}: not read)" if found else ""


def _own_module(folder: SourceFolder, name: str) -> str:
    """Return the file or folder of the repository that has a module's name, or an empty string."""
    for pattern in (f"*/{name}.py", f"*/{name}/", f"*/*/{name}.py", f"*/*/{name}/"):
        for path in folder.checkout.glob(pattern):
            if not any(part.startswith(".") for part in path.relative_to(folder.checkout).parts):
                return folder.relative(path)
    return "the repository" if folder.checkout.name == name else ""


def _is_required(folder: SourceFolder, name: str) -> bool:
    """Tell whether a line of requirements.txt begins with the name, as far as case and dashes go."""
    file = folder.base_dir / "requirements.txt"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return any(re.split(r"[^\w.-]", line.strip())[0].replace("-", "_").casefold() == name.casefold() for line in lines)


def _remedy(folder: SourceFolder, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "keep what ends the interpreter behind `if __name__ == '__main__':`"
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if (folder.checkout / top).is_dir():
            taken = importlib.util.find_spec(top)
            if taken is not None and taken.origin and not Path(taken.origin).is_relative_to(folder.checkout):
                return f"a package {top!r} is installed ({taken.origin}) and comes first: add {top}/__init__.py"
        if own := _own_module(folder, top):
            return f"{own} has it: import it by its path from {folder.name} or from the root of the repository"
        if _is_required(folder, top):
            return f"requirements.txt in {folder.name} names it: install it into the environment that runs the source"
        place_of_it = f"requirements.txt in {folder.name}{_other_place(folder)}"
        return f"add the package that has {top!r} to {place_of_it}, or correct the import"
    if isinstance(error, NameError) and error.name in ("nilus", "dlt"):
        return f"add `import {error.name}` at the top of the file"
    if type(error).__name__ == "SourceIsAClassTypeError":
        return "remove @nilus.source from the class: it is addressed by its name and needs no decorator"
    return "correct the file"
