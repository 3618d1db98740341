"""How modules of a checkout are loaded: from their text alone, whatever byte code lies beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any


class TextLoader(SourceFileLoader):
    """Compiles a module's text; byte code is neither read nor written."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of a module, called by Python's import."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def load_from_text(checkout: Path) -> None:
    """Have every import from a folder compile the text that lies there.

    Args:
        checkout: absolute; a second call for it changes nothing.
    """
    hook = _Hook(checkout)
    if hook not in sys.path_hooks:
        sys.path_hooks.insert(0, hook)
    for path in list(sys.path_importer_cache):
        if hook.covers(path):
            del sys.path_importer_cache[path]


class _Hook:
    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout.absolute()
        self._finder: Callable[[str], Any] = FileFinder.path_hook(
            (ExtensionFileLoader, EXTENSION_SUFFIXES), (TextLoader, SOURCE_SUFFIXES)
        )

    def __call__(self, path: str) -> Any:
        if not self.covers(path):
            raise ImportError(path)
        return self._finder(path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hook) and other._checkout == self._checkout

    def __hash__(self) -> int:
        return hash(self._checkout)

    def covers(self, path: str) -> bool:
        """Tell whether a path is in the checkout, links followed or not; an environment inside it is not of it."""
        spellings = {Path(path).absolute(), Path(path).resolve()}
        if any(one.is_relative_to(sys.prefix) for one in spellings):
            return False
        return any(one.is_relative_to(root) for one in spellings for root in (self._checkout, self._checkout.resolve()))
