"""Where a local run keeps its state: one JSON file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nilus.errors import StateError

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class LocalState:
    """What a run starts from.

    Attributes:
        key: of the state.
        state: dlt's `sources` subtree, as plain JSON.
        load_ids: every load the state stands on, oldest first.
    """

    key: str
    state: dict[str, Any] = field(default_factory=dict)
    load_ids: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, key: str) -> LocalState:
        """Return what is in the file; an empty state if there is no such file.

        Raises:
            StateError: it is no state, or that of another key.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(key=key)
        except (OSError, ValueError) as error:
            raise _unreadable(path, f"{type(error).__name__}: {error}") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise _unreadable(path, f"a file without format {_FORMAT}")
        if document.get("key") != key:
            raise _unreadable(path, f"the state of {document.get('key')!r}", expected=f"the state of {key!r}")
        return cls(key=key, state=document["state"], load_ids=document["load_ids"])

    def after(self, state: Mapping[str, Any], load_ids: list[str]) -> LocalState:
        """Return the state after a load."""
        return LocalState(key=self.key, state=dict(state), load_ids=[*self.load_ids, *load_ids])

    def write(self, path: Path) -> None:
        """Write the file; it arrives whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"format": _FORMAT, "key": self.key, "state": self.state, "load_ids": self.load_ids}
        descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
        Path(staged).replace(path)


def _unreadable(path: Path, found: str, expected: str = "a file that a local run wrote") -> StateError:
    return StateError(
        f"The state file {path} cannot be used",
        expected=expected,
        found=found,
        remedy="name another --state-file, or remove the file to begin anew",
    )
