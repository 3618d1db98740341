"""The columns that a workflow masks: found by their names in rows, at any depth, and what of them has been seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dlt.common.normalizers.naming import NamingConvention

from nilus.errors import SourceError, WorkflowError
from nilus.runtime.rows.masks.algorithms import Algorithm, DoesNotFit
from nilus.runtime.rows.masks.comparable import as_mapping, to_plain

_KNOWN_KEYS = 10_000


@dataclass(eq=False)
class Mask:
    """One entry of `mask`.

    Attributes:
        column: as the workflow names it.
        algorithm: what is done to its values.
        paths: the normalized names that lead to it, one or two ways.
        is_seen: whether a row had it, or had nothing where it would be.
    """

    column: str
    algorithm: Algorithm
    paths: list[tuple[str, ...]] = field(default_factory=list)
    is_seen: bool = False


Node = Mask | dict[str, "Node"]


class MisplacedValue(Exception):  # noqa: N818 - it is no error yet: the row is not known here
    """A value where a nested one was expected."""

    def __init__(self, node: Node, found: str) -> None:
        super().__init__(found)
        self.node = node
        self.found = found


def masks_of(node: Node) -> Iterator[Mask]:
    """Yield the masks in a part of the tree."""
    if isinstance(node, Mask):
        yield node
    else:
        for inner in node.values():
            yield from masks_of(inner)


class MaskColumns:
    """The masks of one run, by the names of the columns.

    A column may be named as the source does or as the table does. A dot leads into a nested value, or into each of a
    list of them; `address__street`, as a table of flattened values has it, does so too, and also stands for a column
    that has this very name.

    Args:
        masks: column to algorithm.
        naming: the naming convention of the tables.

    Attributes:
        masks: the entries.
        resources: the resources of which a row has come.

    Raises:
        WorkflowError: two entries mean the same column, or one is in the other.
    """

    def __init__(self, masks: Mapping[str, Algorithm], naming: NamingConvention) -> None:
        self._naming = naming
        self.name: Callable[[str], str] = lru_cache(maxsize=_KNOWN_KEYS)(naming.normalize_path)
        self.masks = [Mask(column, algorithm) for column, algorithm in masks.items()]
        self._literal: dict[str, Mask] = {}
        self._tree: dict[str, Node] = {}
        self._inside: dict[int, str] = {id(self._tree): ""}
        self._came: dict[str, set[str]] = {}
        self.resources: set[str] = set()
        for mask in self.masks:
            if "." in mask.column:
                self._literal[mask.column] = mask
                self._plant(mask, tuple(self.name(part) for part in mask.column.split(".") if part))
            else:
                self._plant(mask, (self.name(mask.column),))
        for mask in self.masks:
            self._plant_flattened(mask)

    def __getitem__(self, key: object) -> Node | None:
        """Return what is to be done to a column of a row."""
        written = str(key)
        return self._literal.get(written) or self._tree.get(self.name(written))

    def below(self, node: dict[str, Node], key: object) -> Node | None:
        """Return what is to be done to a nested value."""
        return node.get(self.name(str(key)))

    def table_name(self, mask: Mask) -> str:
        """Return the name that a table of flattened values has for the column."""
        return self._naming.make_path(*mask.paths[0])

    def _plant(self, mask: Mask, path: tuple[str, ...]) -> None:
        node = self._tree
        for depth, name in enumerate(path[:-1], 1):
            inner = node.setdefault(name, {})
            if isinstance(inner, Mask):
                raise _overlap(inner, mask)
            self._inside.setdefault(id(inner), ".".join(path[:depth]))
            node = inner
        there = node.setdefault(path[-1], mask)
        if there is not mask:
            raise _overlap(next(masks_of(there)), mask)
        mask.paths.append(path)

    def _plant_flattened(self, mask: Mask) -> None:
        if "." in mask.column:
            return
        path = tuple(part for part in self._naming.break_path(mask.paths[0][0]) if part)
        if len(path) < 2:
            return
        node: Node | None = self._tree
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
            if isinstance(node, Mask) and name != path[-1]:
                return  # what leads there is masked as a whole
        if node is not None:
            raise _overlap(next(masks_of(node)), mask)
        self._plant(mask, path)

    def row(self, row: Any) -> Any:
        """Return a row with its columns masked; the row itself is not changed.

        Raises:
            SourceError: a value that its mask does not fit, or no nested value where the workflow names one.
        """
        mapping = as_mapping(row)
        if mapping is None:  # dlt puts a bare value into a column of this name
            return self.row({"value": row})["value"]
        masked: dict[Any, Any] | None = None
        for key, value in mapping.items():
            node = self[key]
            if node is None:
                continue
            if masked is None:
                masked = dict(mapping)
            try:
                masked[key] = self.value(node, value)
            except MisplacedValue as misplaced:
                if not self._has_all(mapping, misplaced.node):
                    raise self._misplaced_error(misplaced) from None
        self._note(self._tree, mapping)
        return mapping if masked is None else masked

    def _has_all(self, names: Sequence[Any] | Mapping[Any, Any], node: Node) -> bool:
        """Tell whether a row has the columns that a part of the tree means by their flattened names."""
        there = [self[name] for name in names]
        return all(any(mask is one for one in there) for mask in masks_of(node))

    def value(self, node: Node, value: Any) -> Any:
        """Return a value masked, or what is nested in it.

        Raises:
            SourceError: see `row`.
            Misplaced: a value that has nothing in it where a nested one was expected.
        """
        if isinstance(node, Mask):
            return self._apply_mask(node, value)
        if isinstance(value, list | tuple):
            if not value:
                self._see(node)
            return [self.value(node, inner) for inner in value]
        mapping = as_mapping(value)
        if mapping is None:
            if to_plain(value) is not None:
                raise MisplacedValue(node, f"a value of type {type(value).__name__}")
            self._see(node)
            return None
        masked = dict(mapping)
        for key, inner in mapping.items():
            below = self.below(node, key)
            if below is not None:
                masked[key] = self.value(below, inner)
        self._note(node, mapping)
        return masked

    def _apply_mask(self, mask: Mask, value: Any) -> Any:
        mask.is_seen = True
        if isinstance(value, list | tuple):
            return [self._apply_mask(mask, inner) for inner in value]
        try:
            value = to_plain(value)
            return None if value is None else mask.algorithm.mask(value)
        except DoesNotFit as misfit:
            expected = str(misfit)
        except Exception:  # noqa: BLE001 - whatever it says may hold the value
            expected = "values it can be computed from"
        raise self.does_not_fit(mask, expected, f"a value of type {type(value).__name__}")

    def does_not_fit(self, mask: Mask, expected: str, found: str) -> SourceError:
        """Return the error for a column that its mask cannot be applied to."""
        return SourceError(
            f"Column {mask.column!r} cannot be masked by {mask.algorithm.name}",
            expected=expected,
            found=f"{found} that is none of these; the value is not shown",
            remedy="choose a mask that fits the column, or convert it in the source; nothing was loaded",
        )

    def _misplaced_error(self, misplaced: MisplacedValue) -> SourceError:
        column = next(masks_of(misplaced.node)).column
        return SourceError(
            f"Column {column!r} cannot be masked: what it should be in is not nested",
            expected="a dict, or a list of them, at every dot of the name",
            found=misplaced.found,
            remedy="correct the name in source.options.mask, mask what it is in as a whole, or parse the value (text "
            "that is JSON) in the source; nothing was loaded",
        )

    def misplaced_error(self, names: Sequence[str], misplaced: MisplacedValue) -> SourceError | None:
        """Return the error for a table whose column is not nested; None if it has the flattened columns instead."""
        return None if self._has_all(names, misplaced.node) else self._misplaced_error(misplaced)

    def _see(self, node: Node) -> None:
        for mask in masks_of(node):
            mask.is_seen = True

    def see_nothing(self, node: Node) -> None:
        """Count the columns of a part of the tree as seen: there is nothing in them."""
        self._see(node)

    def _note(self, node: dict[str, Node], names: Mapping[Any, Any] | Sequence[str]) -> None:
        """Keep the names that came, as long as a column is missing that may have been meant by one of them."""
        if all(mask.is_seen for mask in self.masks):
            return
        came = self._came.setdefault(self._inside[id(node)], set())
        if len(came) < _KNOWN_KEYS:
            came.update(map(str, names))

    def note_columns(self, names: Sequence[str]) -> None:
        """Keep the names of a table's columns, see `missing`."""
        self._note(self._tree, names)

    def missing(self, mask: Mask) -> tuple[str, set[str]]:
        """Return the part of a column's name that no row had, and the names that came in its place; none: no rows."""
        parts = mask.column.split(".") if len(mask.paths[0]) > 1 else [mask.column]
        for depth in range(len(parts) - 1, -1, -1):
            came = self._came.get(".".join(mask.paths[0][:depth]))
            if came:
                return parts[depth], came
        return mask.column, set()


def _overlap(first: Mask, second: Mask) -> WorkflowError:
    return WorkflowError(
        f"source.options.mask names the same column twice: {first.column!r} and {second.column!r}",
        expected="one mask for a column; a mask of a nested value, or of what it is in, not both",
        found=f"{first.algorithm.name} and {second.algorithm.name}",
        remedy="leave one of them out",
    )
