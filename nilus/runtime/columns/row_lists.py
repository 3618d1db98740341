"""Rows of a generator in lists: each goes through the resource's steps by itself, and they are written together.

dlt carries every item a generator yields through a machine made for futures, forks and nested generators, which costs
a row many times what its steps cost. Here a generator is asked for its rows, and each is put through the steps in the
moment it comes, before the next is asked for, as dlt does it; what has gone through is handed to dlt in lists, at the
end of the pipe. Whatever is not a row or a list of rows goes dlt's way from where it is. Nothing that a source may fill
again, and no hint that it may change, is left unread when the generator goes on.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Final

from dlt.common.exceptions import PipelineException
from dlt.extract import DltResource
from dlt.extract.exceptions import (
    DltSourceException,
    ExtractorException,
    InvalidStepFunctionArguments,
    PipeException,
    ResourceExtractionError,
)

from nilus.runtime.columns.chunk_files import estimated_bytes
from nilus.runtime.columns.list_steps import leaves_alone, takes_lists
from nilus.runtime.columns.snapshot import named_like, runs_in_background, snapshot, snapshots
from nilus.runtime.engine.internals.hints import HintsOfRows, hints_now
from nilus.runtime.engine.internals.stand_ins import PipeIterator
from nilus.runtime.engine.internals.steps import (
    DataItemWithMeta,
    ForkPipe,
    Pipe,
    ResolvablePipeItem,
    SourcePipeItem,
    get_callable_name,
    steps_behind_generator,
)

MAX_ROWS = 2_000
MAX_BYTES = 4_000_000
MAX_SECONDS = 1.0
"""A list is handed on when it has so many rows, takes about so much memory, or is so old."""

_FIRST_ROWS = 64
_FIRST_TURNS = 16
_MOMENT = 0.05
"""Seconds in which rows are taken together that nothing looks at in between."""
_TAKEN: Final = object()
_NO_MORE: Final = object()
_DLT_ERRORS = (PipelineException, ExtractorException, DltSourceException, PipeException)


class RowListIterator(PipeIterator):
    """dlt's iterator over the items of all resources, with rows in lists.

    `resources` are those whose rows are taken so, `page_size` is the largest number of rows that are handed on
    together; `defers_sets` says that whoever writes the rows writes sets as lists.
    """

    resources: ClassVar[dict[str, DltResource]] = {}
    page_size: ClassVar[int] = MAX_ROWS
    defers_sets: ClassVar[bool] = False

    def __init__(
        self,
        max_parallel_items: int,
        workers: int,
        futures_poll_interval: float,
        sources: list[SourcePipeItem],
        next_item_mode: Any,
    ) -> None:
        turns = _Turns(_FIRST_TURNS if len(sources) > 1 else 0)
        taken = _Sources(self._take(source, turns) for source in sources)
        super().__init__(max_parallel_items, workers, futures_poll_interval, taken, next_item_mode)

    def _take(self, source: SourcePipeItem, turns: _Turns) -> SourcePipeItem:
        pipe = source.pipe
        if not isinstance(pipe, Pipe) or pipe.name not in self.resources or pipe.has_parent:
            return _copy(source)
        # A transformer takes its rows one by one.
        if any(isinstance(step, ForkPipe) for step in pipe.steps) or runs_in_background(source.item):
            return _copy(source)
        resource = self.resources[pipe.name]
        rows = _RowLists(pipe, resource, source.item, self.page_size, defers_sets=self.defers_sets, turns=turns)
        return source._replace(item=named_like(rows.run(), source.item))


class _Sources(list[SourcePipeItem]):
    """The generators that dlt asks for items; those that come as items are added while it does."""

    def append(self, source: SourcePipeItem) -> None:
        """Add a generator; called by dlt."""
        super().append(_copy(source))


def _copy(source: SourcePipeItem) -> SourcePipeItem:
    return source._replace(item=named_like(snapshots(source.item), source.item))


@dataclass
class _Turns:
    """How the resources of one source take turns.

    Args:
        first: so many rows of each are handed on alone, in dlt's order: by then, most sources that choose their tables
            as they go have done so. 0 if there is one resource.
        are_kept: a source has done so: from there on each item is asked for in dlt's order.
    """

    first: int
    are_kept: bool = False


class _RowLists:
    """The rows of one pipe.

    Args:
        pipe: as dlt has made it ready for this extraction.
        resource: the one it belongs to.
        items: its generator.
        page_size: the largest number of rows that are handed on together.
        defers_sets: whether sets may stay in rows if no other step looks at them.
        turns: of all resources; None if there is one.
    """

    def __init__(
        self,
        pipe: Pipe,
        resource: DltResource,
        items: Iterator[Any],
        page_size: int,
        *,
        defers_sets: bool,
        turns: _Turns | None = None,
    ) -> None:
        self._pipe = pipe
        self._resource = resource
        self._items = items
        self._page_size = page_size
        self._turns = turns or _Turns(0)
        self._turns_left = self._turns.first
        self._last = len(pipe) - 1
        steps = steps_behind_generator(pipe)
        whole = len(steps)
        while whole and takes_lists(steps[whole - 1][1]):
            whole -= 1
        self._steps: list[tuple[int, Callable[..., Any]]] = steps[:whole]
        """What is done to each item as it comes."""
        self._list_steps: list[tuple[int, Callable[..., Any]]] = [
            (number, step)
            for place, (number, step) in enumerate(steps[whole:], whole + 1)
            if not (defers_sets and leaves_alone(step, steps[place:]))
        ]
        """What is done to the list: steps of ours, which nobody can tell from being done row by row."""
        self._rows: list[Any] = []
        self._hints = HintsOfRows(resource)
        self._is_left_to_dlt = False
        self._limit = min(_FIRST_ROWS, page_size)
        self._room = page_size
        self._since = time.monotonic()

    def run(self) -> Generator[Any, None, None]:
        """Yield lists of rows that are through, and everything else as it came."""
        try:
            yield from self._in_steps() if self._steps else self._without_steps()
            yield from self._flush()
            yield from map(snapshot, self._items)
        finally:
            if inspect.isgenerator(self._items):
                self._items.close()

    def _without_steps(self) -> Iterator[Any]:
        """Take items that no step looks at: rows as many at a time as come in a moment, anything else by itself."""
        clock = time.monotonic
        count = 1
        while not self._goes_dlt_s_way():
            started = clock()
            item = self._take_rows(1 if self._turns_left else min(count, self._limit - len(self._rows)))
            if item is _NO_MORE:
                return
            if item is _TAKEN:
                count = count * 2 if clock() - started < _MOMENT else 1
            else:
                count = 1
                yield from self._put_behind(item)
            yield from self._flush_if_due()

    def _take_rows(self, most: int) -> Any:
        """Take rows until something else comes, or a row under other hints, which is returned unread."""
        resource, hints, rows = self._resource, self._hints.hints, self._rows
        wanted = len(rows) + most
        for item in islice(self._items, most):
            if type(item) is not dict or hints_now(resource) is not hints:
                return item
            rows.append(item.copy())
        return _TAKEN if len(rows) == wanted else _NO_MORE

    def _put_behind(self, item: Any) -> Iterator[Any]:
        """Take an item that no step looks at behind the rows before it."""
        if hints_now(self._resource) is not self._hints.hints:
            yield from self._flush()
        if type(item) is dict:
            self._rows.append(item.copy())
        elif _is_rows(item):
            self._rows.extend(item)
        else:
            yield from self._leave(snapshot(item), item)

    def _in_steps(self) -> Iterator[Any]:
        """Put each item through the steps before the next is asked for."""
        for item in self._items:
            if hints_now(self._resource) is not self._hints.hints:
                yield from self._flush()
            if type(item) not in (dict, list):
                yield from self._leave(snapshot(item), item)
            else:
                result, step, meta = self._through(item)
                if result is None:
                    continue
                if type(result) is dict and step == self._last and meta is None:
                    self._rows.append(result.copy() if result is item else result)
                elif _is_rows(result) and step == self._last and meta is None:
                    self._rows.extend(result)
                else:
                    # What is no row has not been through the steps that take lists.
                    behind = self._steps[-1][0] if step == self._last else step
                    left = ResolvablePipeItem(snapshot(result), behind, self._pipe, meta)
                    yield from self._leave(left, result, has_meta=meta is not None)
            yield from self._flush_if_due()
            if self._goes_dlt_s_way():
                return

    def _leave(self, left: Any, item: Any, *, has_meta: bool = False) -> Iterator[Any]:
        """Leave an item that is no row to dlt, behind the rows before it."""
        yield from self._flush()
        if has_meta or isinstance(item, DataItemWithMeta):
            self._turns.are_kept = self._turns.first > 0
        # dlt takes turns between a generator and those it has given.
        self._is_left_to_dlt = _is_run_by_dlt(item)
        yield left
        self._hints = HintsOfRows(self._resource)

    def _goes_dlt_s_way(self) -> bool:
        return self._is_left_to_dlt or self._turns.are_kept

    def _flush_if_due(self) -> Iterator[ResolvablePipeItem]:
        in_turn = self._turns_left > 0
        self._turns_left -= in_turn
        if in_turn or len(self._rows) >= self._limit or time.monotonic() - self._since > MAX_SECONDS:
            return self._flush()
        return iter(())

    def _through(self, item: Any) -> tuple[Any, int, Any]:
        """Put an item through the steps; return what came out, behind which step, and with what metadata."""
        meta = None
        for number, step in self._steps:
            item = self._call(step, item, meta)
            if item is None:
                return None, number, meta
            if isinstance(item, DataItemWithMeta):
                meta = item.meta
                item = item.data
            if type(item) not in (dict, list):
                return item, number, meta
        if meta is not None:
            return item, self._steps[-1][0], meta
        return item, self._last, meta

    def _call(self, step: Callable[..., Any], item: Any, meta: Any) -> Any:
        try:
            return step(item, meta=meta)
        except TypeError as error:
            raise InvalidStepFunctionArguments(
                self._pipe.name, str(get_callable_name(step)), inspect.signature(step), str(error)
            ) from error
        except _DLT_ERRORS:
            raise
        except Exception as error:
            raise ResourceExtractionError(self._pipe.name, step, str(error), "transform") from error

    def _flush(self) -> Iterator[ResolvablePipeItem]:
        """Hand the rows on, under the hints they came under."""
        if hints_now(self._resource) is self._hints.hints:
            yield from self._flush_rows()
            return
        with self._hints.in_force():
            yield from self._flush_rows()
        self._turns.are_kept = self._turns.first > 0
        self._hints = HintsOfRows(self._resource)

    def _flush_rows(self) -> Iterator[ResolvablePipeItem]:
        self._since = time.monotonic()
        rows = self._rows
        if not rows:
            return
        self._rows = []
        most = min(MAX_ROWS, int(MAX_BYTES / estimated_bytes(rows)))
        # The writer's pages end where lists end.
        while len(rows) > self._room:
            part, rows = rows[: self._room], rows[self._room :]
            self._room = self._page_size
            yield from self._handed_on(part)
        self._room = self._room - len(rows) or self._page_size
        self._limit = max(1, min(most, self._room))
        yield from self._handed_on(rows)

    def _handed_on(self, rows: Any) -> Iterator[ResolvablePipeItem]:
        for _, step in self._list_steps:
            rows = self._call(step, rows, None)
            if not rows:
                return
        yield ResolvablePipeItem(rows, self._last, self._pipe, None)


def _is_run_by_dlt(item: Any) -> bool:
    """Tell whether an item is asked for others, or called, before it is one."""
    return isinstance(item, (Iterator, AsyncIterator, Awaitable)) or callable(item)


def _is_rows(item: Any) -> bool:
    return type(item) is list and bool(item) and type(item[0]) is dict
