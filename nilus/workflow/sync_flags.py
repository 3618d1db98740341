"""`repo.syncFlags`: the flags of kubernetes/git-sync (v4) that say what to check out. An allow-list.

What git-sync does with each flag, and the old names, are taken from its `main.go` and `v3-to-v4.md`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nilus.values.redaction import kind
from nilus.values.spelling import did_you_mean

SETTINGS = {
    "ref": "ref",
    "branch": "ref",
    "rev": "ref",
    "depth": "depth",
    "submodules": "submodules",
    "filter": "filter",
    "sparse-checkout-file": "sparse-checkout-file",
    "sync-timeout": "sync-timeout",
}
"""Flag -> the key of `repo` that it stands for."""

_IGNORED = ("root", "link", "dest", "one-time", "period", "wait", "max-failures", "verbose", "v")
_SWITCHES = frozenset({"one-time"})

_RUNS_COMMANDS = "it runs a command or changes how git runs; nothing but git itself is run here"
_REACHES_OUT = "it calls or opens a network address; nothing but the repository is reached here"
_CREDENTIALS = "credentials belong in the Airflow connection that git_conn_id names"
_DAEMON = "it steers git-sync's own process or files; nothing here does that, remove it"
_REFUSED = (
    (r"(pre-publish-)?exechook-.*|sync-hook-command|git|git-config(-.*)?", _RUNS_COMMANDS),
    (r"webhook-.*|askpass-url|http-.*", _REACHES_OUT),
    (r"username|password(-.*)?|credential|ssh(-.*)?|github-.*|cookie-file", _CREDENTIALS),
    (r"repo", "the repository is named by repo.url"),
    (
        r"add-user|group-write|change-permissions|touch-file|error-file|git-gc|stale-worktree-timeout|sync-on-signal"
        r"|man|version|help",
        _DAEMON,
    ),
)

_FLAG = re.compile(r"--?(?P<name>[A-Za-z][A-Za-z0-9-]*)(?P<rest>.*)\Z", re.DOTALL)
_DURATION = re.compile(r"(?P<amount>\d+(?:\.\d*)?|\.\d+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class SyncFlags:
    """What was read: `settings` by the key of `repo`, the names of ignored flags, and what is wrong, one text each.

    No text in here holds a flag's value, except `settings`.
    """

    settings: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_sync_flags(flags: object) -> SyncFlags:
    """Read `--ref=main`, `--ref main` (one text or two items), `-ref=main` and quoted values.

    Args:
        flags: a list of texts, or one text. A refused flag's value is never repeated: it can be a password.
    """
    result = SyncFlags()
    words = _words(flags, result.problems)
    for name, value in _pairs(words, result.problems):
        if name in SETTINGS:
            _set(result, name, value)
        elif name in _IGNORED:
            result.ignored.append(f"--{name}")
        else:
            result.problems.append(f"--{name}: {_reason(name)}")
    return result


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration (`120s`, `2m`, `1h30m`, `500ms`), or of a number without a unit.

    Raises:
        ValueError: `text` is neither.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        return float(text)
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError("expected a duration like 120s or 2m")
    return sum(float(part["amount"]) * _SECONDS[part["unit"]] for part in parts)


def _words(flags: object, problems: list[str]) -> list[str]:
    if flags is None:
        return []
    items: Sequence[object] = flags if isinstance(flags, list | tuple) else [flags]
    words: list[str] = []
    for number, item in enumerate(items):
        if isinstance(item, int | float) and not isinstance(item, bool):
            item = str(item)
        if not isinstance(item, str):
            problems.append(f"item {number + 1}: expected text like --ref=main, found {kind(item)}")
            continue
        try:
            words += shlex.split(item)
        except ValueError:
            problems.append(f"item {number + 1}: a quotation mark is not closed")
    return words


def _pairs(words: list[str], problems: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield (flag, value); value is None where there is none."""
    position = 0
    while position < len(words):
        match = _FLAG.match(words[position])
        position += 1
        if match is None:
            problems.append("expected a flag like --ref=main, found a value that belongs to none")
            continue
        name, rest = match["name"], match["rest"]
        if rest and not rest.startswith("="):
            problems.append(f"--{name}: expected --{name}=value, found other characters after the name")
            continue
        value = rest[1:] if rest else None
        following = words[position] if position < len(words) else None
        if value is None and following is not None and _is_value_of(name, following):
            value = following
            position += 1
        yield name, value


def _is_value_of(name: str, word: str) -> bool:
    if name in _SWITCHES:
        return word.lower() in {"true", "false"}
    return _FLAG.match(word) is None


def _set(result: SyncFlags, name: str, value: str | None) -> None:
    key, value = SETTINGS[name], (value or "").strip()
    before = result.settings.get(key)
    if not value:
        result.problems.append(f"--{name}: expected a value, found nothing")
    elif before is None:
        result.settings[key] = value
    elif key == "ref" and "HEAD" in (value, before):
        # git-sync's old pair: `--branch=main --rev=HEAD` means the head of main.
        result.settings[key] = value if before == "HEAD" else before
    else:
        same = [f"--{flag}" for flag, meant in SETTINGS.items() if meant == key]
        also = f" ({', '.join(same)} mean the same)" if len(same) > 1 else ""
        result.problems.append(f"--{name}: given twice{also}")


def _reason(name: str) -> str:
    for pattern, reason in _REFUSED:
        if re.fullmatch(pattern, name):
            return f"refused, {reason}"
    return f"unknown flag{did_you_mean(f'--{name}', [f'--{flag}' for flag in SETTINGS])}"
