"""What makes `nilus` another name of dlt: attributes and submodules are dlt's own objects, never copies."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_ALIAS = "nilus"
_TARGET = "dlt"
_BASE_CLASSES = ("CustomDestination", "CustomSource")


def attribute(name: str) -> Any:
    """Return the attribute `name` of the alias: a module of ours if there is one, else dlt's object.

    Raises:
        AttributeError: neither has it. Private names are never looked up in dlt.
    """
    if name == "__all__":
        return exported_names()
    if name.startswith("_") and name != "__version__":
        raise AttributeError(f"module {_ALIAS!r} has no attribute {name!r}")
    if _is_own(name):
        return importlib.import_module(f"{_ALIAS}.{name}")
    dlt = importlib.import_module(_TARGET)
    try:
        return getattr(dlt, name)
    except AttributeError:
        raise AttributeError(
            f"module {_ALIAS!r} has no attribute {name!r}: it is an alias of dlt, and dlt {dlt.__version__} "
            "has no such attribute either"
        ) from None


def exported_names() -> list[str]:
    """Return what `from nilus import *` gives: the base classes and the public names that dlt really has.

    `dlt.__all__` is not taken as it is: dlt 1.31 lists `state` there and has no such attribute.
    """
    dlt = importlib.import_module(_TARGET)
    listed = {name for name in dlt.__all__ if hasattr(dlt, name)}
    return sorted({*_BASE_CLASSES, *listed, *(name for name in dir(dlt) if not name.startswith("_"))})


def names() -> list[str]:
    """Return what `dir(nilus)` gives: also the modules of ours that are loaded."""
    return sorted({*vars(sys.modules[_ALIAS]), *exported_names()})


@functools.cache
def _is_own(name: str) -> bool:
    """Tell whether the top-level submodule `name` is a file of this package (an empty folder is not)."""
    spec = PathFinder.find_spec(f"{_ALIAS}.{name}", sys.modules[_ALIAS].__path__)
    return spec is not None and spec.origin is not None


# Where the makers of Nilus have the base classes.
_OWN_ALIASES = {"nilus.src": "nilus", "nilus.src.custom_source": "nilus.custom_source"}


def _is_alias(rest: str) -> bool:
    return bool(rest) and not _is_own(rest.partition(".")[0])


class AliasFinder(MetaPathFinder, Loader):
    """Gives dlt's module `dlt.x.y` to whoever imports `nilus.x.y`, unless `nilus.x` is a module of ours.

    It stands before Python's own finder, which would follow the `__path__` of an aliased package and load a second
    copy of the modules in it.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find the alias `fullname`; None if it is not ours to give."""
        if fullname in _OWN_ALIASES:
            return ModuleSpec(fullname, self, is_package=fullname == "nilus.src")
        alias, _, rest = fullname.partition(".")
        if alias != _ALIAS or not _is_alias(rest) or importlib.util.find_spec(f"{_TARGET}.{rest}") is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import dlt's module and hand it over as the alias."""
        own = _OWN_ALIASES.get(spec.name)
        module = importlib.import_module(own or _TARGET + spec.name.removeprefix(_ALIAS))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back its own spec, which the import system has just replaced by the alias'."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state
        _enter_loaded()


def _enter_loaded() -> None:
    """Enter every loaded module of dlt under its alias.

    The import system binds a module it has just imported as an attribute of its parent. Where dlt has bound
    something else to that name (`dlt.common.pendulum` is the library, not the module of that name), importing
    the alias later would undo it; an alias that is already there is not imported.
    """
    for name, module in list(sys.modules.items()):
        top, _, rest = name.partition(".")
        if top == _TARGET and _is_alias(rest):
            sys.modules.setdefault(f"{_ALIAS}.{rest}", module)


def install() -> None:
    """Put the finder in front of `sys.meta_path`, once."""
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())
