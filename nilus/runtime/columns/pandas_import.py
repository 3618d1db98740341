"""Arrow without pandas, as long as nobody asks for pandas: importing it takes longer than loading a few rows."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Refusal(MetaPathFinder):
    """Refuses pandas to the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the signature is Python's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Raise for pandas; called by Python."""
        if fullname == "pandas" and threading.get_ident() == self._thread:
            raise ImportError("not needed yet", name=fullname)
        return None


@contextmanager
def without_pandas() -> Iterator[None]:
    """Let Arrow convert lists without importing pandas for the time of the block, and be as before behind it.

    The first time pyarrow makes an array of anything, it imports pandas to see whether that is a Series, and remembers
    if there is none. Inside the block it remembers so; `import pandas` works as ever, also there, and so does all that
    needs pandas. Nothing is done where pandas is imported already, or pyarrow does it another way.
    """
    if "pandas" in sys.modules:
        yield
        return
    import pyarrow as pa  # type: ignore[import-untyped]

    shim = getattr(pa.lib, "_pandas_api", None)
    if shim is None:
        yield
        return
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(refusal)
    try:
        yield
    finally:
        shim.__init__()
