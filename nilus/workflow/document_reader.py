"""One `repo`/`source`/`sink` block as its author wrote it, with its keys brought into one spelling.

A block is read from the document, another one from the operator's arguments, and the second is laid over the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nilus.values.redaction import kind, redact_address
from nilus.values.spelling import did_you_mean, kebab, kebab_from_camel, nearest, snake
from nilus.workflow.document import to_plain
from nilus.workflow.manifest import SECTIONS
from nilus.workflow.sync_flags import parse_sync_flags

_log = logging.getLogger("nilus.workflow")
_SOURCE_KEYS_OF_A_SINK = frozenset({"primary-key", "incremental-key", "interval-start", "interval-end"})
_HANDED_OVER = (("source", "options"), ("source", "sql"))
_ARGUMENTS_OF_THE_CALL = frozenset({"self", "uri", "table"})
_NEAR_ENOUGH_TO_WARN = 0.85

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class KnownKeys:
    """The keys that are ours, in kebab-case; `repo`, `source` and `sink` without `sync-flags` and `options`."""

    repo: frozenset[str]
    source: frozenset[str]
    sink: frozenset[str]
    partition: frozenset[str]


@dataclass
class Block:
    """What was read.

    Args:
        values: (section, key) -> value for our keys, the sections flat: `("source", "source-table")`.
            `("source", "options")` and `("source", "sql")` hold what is handed to the source, keys in snake_case.
        spelled: the same locations, and deeper ones, -> the path as the author spelled it, and a note to go behind it.
        problems: what is wrong, each with its path.
        present: the sections that were given, `unreadable` those of them that are not of the right shape.
    """

    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    spelled: dict[Location, tuple[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of one section; keys without a value are left out."""
        return {key: value for (section, key), value in self.values.items() if section == name and value is not None}

    def lay_over(self, other: Block) -> None:
        """Let `other` win, key by key; a key without a value does not count as given."""
        for location, value in other.values.items():
            if location in _HANDED_OVER:
                self.values.setdefault(location, {}).update(value)
            elif value is not None:
                self.values[location] = value
                for old in [place for place in self.spelled if place[:2] == location]:
                    del self.spelled[old]
        for place, spelled in other.spelled.items():
            if other.values.get((str(place[0]), str(place[1]))) is not None:
                self.spelled[place] = spelled
        self.problems += other.problems
        self.present |= other.present
        self.unreadable |= other.unreadable

    def path(self, location: Location, default: str) -> str:
        """Return how the author spelled `location`; `default` where it is not in the document."""
        for length in range(len(location), 1, -1):
            if location[:length] in self.spelled:
                path, note = self.spelled[location[:length]]
                return f"{path}{_tail(location[length:])}{note}"
        return default


def read_block(block: Mapping[str, Any], known: KnownKeys, *, path: str = "", note: str = "") -> Block:
    """Read one block.

    Args:
        block: a mapping with `repo`, `source`, `sink`, any of them missing.
        known: the keys that are ours.
        path: where the block is in its document.
        note: words after every path, to tell an argument from the document.
    """
    reader = _Reader(known, note)
    read = {"repo": reader.read_repo, "source": reader.read_source, "sink": reader.read_sink}
    for key, place, value in reader.entries(block, path):
        if key not in SECTIONS:
            reader.refuse(place, f"unknown key{did_you_mean(key, SECTIONS)}")
        elif value is not None:
            reader.result.present.add(key)
            reader.current = key
            read[key](value, place)
    reader.move_source_keys()
    return reader.result


class _Reader:
    def __init__(self, known: KnownKeys, note: str) -> None:
        self.known = known
        self.note = note
        self.result = Block()
        self.moved: dict[str, tuple[str, Any]] = {}
        self.current = ""

    def entries(self, node: object, path: str, fold: Callable[[str], str] = kebab) -> Iterator[tuple[str, str, Any]]:
        """Yield (folded key, path, value); nothing for a missing node, a problem for what is no mapping."""
        if node is None:
            return
        if not isinstance(node, Mapping):
            self.refuse(path, f"expected a mapping, found {kind(node)}")
            self.result.unreadable.add(self.current)
            return
        first: dict[str, str] = {}
        for written, value in node.items():
            if not isinstance(written, str):
                self.refuse(path, f"expected keys that are text, found {kind(written)}")
                continue
            key = fold(written)
            place = f"{path}.{redact_address(written)}" if path else redact_address(written)
            if key in first:
                self.refuse(place, f"the same key as {first[key]}, given twice")
                continue
            first[key] = place
            yield key, place, value

    def refuse(self, path: str, problem: str) -> None:
        self.result.problems.append(f"{path}{self.note}: {problem}")

    def keep(self, section: str, key: str, place: str, value: Any) -> None:
        self.result.values[section, key] = value
        self.result.spelled[section, key] = (place, self.note)

    def read_repo(self, node: object, path: str) -> None:
        flags: tuple[str, Any] | None = None
        for key, place, value in self.entries(node, path, kebab_from_camel):
            if key == "sync-flags":
                flags = (place, value)
            elif key in self.known.repo:
                self.keep("repo", key, place, value)
            else:
                self.refuse(place, f"unknown key{did_you_mean(key, [*self.known.repo, 'syncFlags'])}")
        if flags is not None:
            self.read_sync_flags(*flags)

    def read_sync_flags(self, path: str, value: object) -> None:
        flags = parse_sync_flags(value)
        for problem in flags.problems:
            self.refuse(path, problem)
        if flags.ignored:
            _log.info("Ignored in %s: %s. They mean nothing here.", path, ", ".join(flags.ignored))
        for key, setting in flags.settings.items():
            if self.result.values.get(("repo", key)) is not None:
                self.refuse(f"{path} --{key}", f"the same as {self.result.spelled['repo', key][0]}, given twice")
            else:
                self.keep("repo", key, f"{path} --{key}", setting)

    def read_source(self, node: object, path: str) -> None:
        for key, place, value in self.entries(node, path):
            if key == "address":
                self.keep("source", key, place, value)
            elif key == "options":
                for option, option_place, option_value in self.entries(value, place):
                    self.read_source_option(option, option_place, option_value)
            else:
                self.refuse(place, f"unknown key{self.hint(key, ['address', 'options'], path)}")

    def read_source_option(self, key: str, place: str, value: object) -> None:
        if key in self.known.source:
            self.keep("source", key, place, value)
            return
        name = snake(key)
        if name in _ARGUMENTS_OF_THE_CALL:
            self.refuse(place, f"{name} is an argument that every source is called with; choose another name")
            return
        if not key.startswith("sql-"):
            self.warn_of_near_key(key, place)
        try:
            handed_over = to_plain(value)
        except ValueError as error:
            self.refuse(place, str(error))
            return
        group = "sql" if key.startswith("sql-") else "options"
        self.result.values.setdefault(("source", group), {})[name] = handed_over
        self.result.spelled["source", group, name] = (place, self.note)

    def warn_of_near_key(self, key: str, place: str) -> None:
        if kebab_from_camel(key) in self.known.sink:
            _log.warning("%s%s is a key of sink.options; here it is handed to the source.", place, self.note)
        elif near := nearest(key, self.known.source, cutoff=_NEAR_ENOUGH_TO_WARN):
            _log.warning(
                "%s%s is not a key of ours and is handed to the source. If %s was meant, correct it.",
                place,
                self.note,
                near,
            )

    def read_sink(self, node: object, path: str) -> None:
        for key, place, value in self.entries(node, path):
            if key == "address":
                self.keep("sink", key, place, value)
            elif key == "options":
                for option, option_place, option_value in self.entries(value, place):
                    self.read_sink_option(option, option_place, option_value)
            else:
                self.refuse(place, f"unknown key{self.hint(key, ['address', 'options'], path)}")

    def read_sink_option(self, key: str, place: str, value: object) -> None:
        if key in _SOURCE_KEYS_OF_A_SINK:
            self.moved[key] = (place, value)
        elif key == "partition-by":
            self.keep("sink", key, place, self.read_partitions(value, place))
        elif key in self.known.sink:
            self.keep("sink", key, place, value)
        else:
            self.refuse(place, f"unknown key{self.hint(key, self.known.sink, 'sink.options')}")

    def read_partitions(self, value: Any, path: str) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [
            self.read_partition(entry, f"{path}[{number}]", number) if isinstance(entry, Mapping) else entry
            for number, entry in enumerate(value)
        ]

    def read_partition(self, entry: Mapping[Any, Any], path: str, number: int) -> dict[str, Any]:
        partition = {}
        for key, place, value in self.entries(entry, path):
            if key in self.known.partition:
                partition[key] = value
                self.result.spelled["sink", "partition-by", number, key] = (place, self.note)
            else:
                self.refuse(place, f"unknown key{did_you_mean(key, self.known.partition)}")
        return partition

    def move_source_keys(self) -> None:
        """Let keys of the source that were written on the sink count as the source's."""
        for key, (place, value) in self.moved.items():
            if self.result.values.get(("source", key)) is None:
                self.keep("source", key, place, value)
            elif value is not None:
                self.refuse(place, f"the same as {self.result.spelled['source', key][0]}, given twice")

    def hint(self, key: str, siblings: Any, path: str) -> str:
        """Name the nearest key beside `key`, or the place where a key of this name belongs."""
        for place, keys in (("source.options", self.known.source), ("sink.options", self.known.sink)):
            if key in keys and place != path:
                return f", did you mean {place}.{key}?"
        return did_you_mean(key, siblings)


def _tail(location: Location) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
