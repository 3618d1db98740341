"""The spellings of a key: kebab-case is ours, snake_case and (in `repo` and manifests) camelCase are understood."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kebab(key: str) -> str:
    """Return `key` in kebab-case: `source_table` -> `source-table`. Case is kept."""
    return key.replace("_", "-")


def kebab_from_camel(key: str) -> str:
    """Return `key` in kebab-case, humps resolved as well: `baseDir` -> `base-dir`."""
    return kebab(_HUMP.sub("-", key)).lower()


def snake(key: str) -> str:
    """Return `key` as the name of a keyword argument: `page-token` -> `page_token`. Case is kept."""
    return key.replace("-", "_")


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `known` that `word` was probably meant to be, or None.

    Args:
        word: what was written; case and spelling do not count.
        known: the right words, as they should be shown.
        cutoff: how alike the two must be, 0 to 1 (`difflib`'s ratio).
    """
    by_fold = {kebab_from_camel(name): name for name in known}
    found = difflib.get_close_matches(kebab_from_camel(word), by_fold, n=1, cutoff=cutoff)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean X?` for a message, or an empty string where nothing is near."""
    found = nearest(word, known)
    return f", did you mean {found}?" if found else ""
