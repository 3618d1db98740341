"""How error messages name the commands that lead out of a refusal."""

from __future__ import annotations

import shlex


def command(verb: str, key: str) -> str:
    """Return the command that puts a state key right, as it is typed into a shell.

    Args:
        verb: `adopt`, `reset`, `rewind` or `show`.
        key: the state key.
    """
    return f"run `nilus-state {verb} {shlex.quote(key)}`"
