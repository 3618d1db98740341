"""The Python files of a source's folder, and how they are imported."""

from __future__ import annotations

import importlib
import importlib.util
import keyword
import logging
import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from nilus.runtime.source.source_loader import TextLoader

log = logging.getLogger(__name__)


class SourceFolder:
    """The top-level Python files of `base_dir`, imported one by one when they are asked for.

    A file is a module of the package that `base_dir` is: `examples.custom_source` when that is its path in the
    checkout and Python finds it there, else a package by a name of ours (`my_custom_sources` for
    `my-custom-sources`), so that relative imports work either way. A broken `__init__.py` does not keep the other
    files from being imported.

    Attributes:
        base_dir, checkout: absolute.
        broken: what went wrong with the files that could not be imported.
    """

    def __init__(self, base_dir: Path, checkout: Path, scratch: Path | None = None) -> None:
        self._scratch = scratch
        self.base_dir = base_dir.absolute()
        self.checkout = checkout.absolute()
        self.broken: dict[Path, BaseException] = {}
        self._package: str | None = None
        self._modules: dict[Path, ModuleType] = {}

    @property
    def name(self) -> str:
        """`base_dir` relative to the checkout."""
        return self.relative(self.base_dir)

    def relative(self, path: Path) -> str:
        """Return `path` relative to the checkout, or as it is if it is elsewhere."""
        return path.relative_to(self.checkout).as_posix() if path.is_relative_to(self.checkout) else str(path)

    def files(self) -> list[Path]:
        """Return the files, `__init__.py` included, sorted by name."""
        return sorted(path for path in self.base_dir.glob("*.py") if path.is_file())

    def modules(self) -> dict[Path, ModuleType]:
        """Return the modules imported so far, by file."""
        return dict(self._modules)

    def module(self, file: Path) -> ModuleType | None:
        """Return the module of `file`; None if it cannot be imported (`broken` says why)."""
        if file not in self._modules and file not in self.broken:
            try:
                self._modules[file] = self._import(file)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - also SystemExit of a script without a main guard
                self.broken[file] = error
        return self._modules.get(file)

    def warn_of_hidden_files(self) -> None:
        """Log which files a plain `import` does not reach, since another module of that name comes first."""
        for file in self.files():
            if file.stem.startswith("__"):
                continue
            known = sys.modules.get(file.stem)
            if file.stem in sys.stdlib_module_names:
                why = "the standard library has a module of that name"
            elif known is not None and getattr(known, "__file__", None) not in (None, str(file)):
                why = f"a module of that name is already in use ({known.__file__})"
            else:
                continue
            log.warning(
                "%s: `import %s` does not give this file: %s. Rename the file, or write `from .%s import …`",
                self.relative(file),
                file.stem,
                why,
                file.stem,
            )

    def _import(self, file: Path) -> ModuleType:
        if self._package is None:
            self._package = self._enter_package()
        if file.name == "__init__.py":
            if file in self.broken:
                raise self.broken[file]
            return sys.modules[self._package]
        for module in list(sys.modules.values()):
            if getattr(module, "__file__", None) == str(file):
                return module
        module = _execute(f"{self._package}.{file.stem}", file, also_as=self._flat_name(file))
        setattr(sys.modules[self._package], file.stem, module)
        return module

    def _flat_name(self, file: Path) -> str | None:
        """Return the name a plain import of this file uses, if it would reach it: it should give the same module."""
        reachable = str(self.base_dir) in sys.path and file.stem not in sys.stdlib_module_names
        return file.stem if reachable and file.stem not in sys.modules else None

    def _enter_package(self) -> str:
        """Make `base_dir` a package and return its name."""
        natural = self._natural_name()
        name = natural or self._invented_name()
        if natural is None:
            self._enter_for_children(name)
        init = self.base_dir / "__init__.py"
        try:
            if natural is not None:
                importlib.import_module(natural)
                return natural
            if init.is_file():
                _execute(name, init)
                return name
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            self.broken[init] = error
        sys.modules[name] = _bare_package(name, self.base_dir)
        return name

    def _enter_for_children(self, name: str) -> None:
        """Let processes that the source starts by `multiprocessing` import the package: they get `sys.path` alone."""
        if self._scratch is None:
            return
        folder = self._scratch.absolute() / "packages-by-name"
        folder.mkdir(exist_ok=True)
        (folder / name).symlink_to(self.base_dir, target_is_directory=True)
        sys.path.append(str(folder))

    def _natural_name(self) -> str | None:
        """Return the dotted path of `base_dir` in the checkout, if that is what Python finds under this name."""
        parts = self.base_dir.relative_to(self.checkout).parts
        if not parts or not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
            return None
        name = ".".join(parts)
        try:
            spec = importlib.util.find_spec(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it imports the packages above, which are the user's code
            log.info("The packages above %s cannot be imported (%s)", self.name, type(error).__name__)
            return None
        found = [Path(entry).absolute() for entry in (spec.submodule_search_locations or ())] if spec else []
        return name if self.base_dir in found else None

    def _invented_name(self) -> str:
        name = "repository" if self.base_dir == self.checkout else re.sub(r"\W", "_", self.base_dir.name)
        name = f"_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name
        while name in sys.modules or importlib.util.find_spec(name) is not None:
            name += "_"
        return name


def _execute(name: str, file: Path, *, also_as: str | None = None) -> ModuleType:
    locations = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(
        name, file, loader=TextLoader(name, str(file)), submodule_search_locations=locations
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {file.name}")
    module = importlib.util.module_from_spec(spec)
    names = [name] if also_as is None else [name, also_as]
    sys.modules.update(dict.fromkeys(names, module))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for entered in names:
            sys.modules.pop(entered, None)
        raise
    return module


def _bare_package(name: str, folder: Path) -> ModuleType:
    """Return a package of the modules in `folder`, nothing of it executed."""
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return importlib.util.module_from_spec(spec)
