"""Byte code in a checkout: what runs is the text, wherever a compiled file lies beside it."""

from __future__ import annotations

import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTS = """
import sys
from pathlib import Path
from nilus.runtime.source.class_finder import find, import_roots
checkout = Path(sys.argv[1])
import_roots(checkout, checkout)
print(find("custom://Shop", base_dir=checkout, checkout=checkout).cls.says)
"""
SHOP = "import nilus\nfrom helpers.words import WORD\nclass Shop(nilus.CustomSource):\n    says = WORD\n"


def _compile(text: str, source: Path, target: Path, *, unchecked: bool) -> None:
    """Put byte code of another text where Python looks for that of `source`, so that Python takes it for fresh."""
    original = source.read_text() if source.exists() else None
    source.write_text(text)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH if unchecked else py_compile.PycInvalidationMode.TIMESTAMP
    target.parent.mkdir(exist_ok=True)
    py_compile.compile(str(source), str(target), invalidation_mode=mode, doraise=True)
    if original is None:
        source.unlink()
    else:
        source.write_text(original)


@pytest.mark.parametrize("place", ["shop.py", "helpers/__init__.py", "helpers/words.py"])
def test_the_text_runs_and_not_the_byte_code_beside_it(tmp_path: Path, place: str) -> None:
    (tmp_path / "helpers").mkdir()
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "helpers" / "__init__.py").write_text("")
    (tmp_path / "helpers" / "words.py").write_text("WORD = 'text'\n")
    evil = "raise SystemExit('byte code ran')"
    _compile(evil, tmp_path / place, Path(importlib.util.cache_from_source(str(tmp_path / place))), unchecked=True)
    assert _imports(tmp_path) == "text"


def test_a_module_of_byte_code_alone_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP.replace("from helpers.words import WORD", "from words import WORD"))
    _compile("WORD = 'byte code'", tmp_path / "words.py", tmp_path / "words.pyc", unchecked=True)
    assert "No module named 'words'" in _imports(tmp_path)


def _imports(checkout: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORTS, str(checkout)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr
