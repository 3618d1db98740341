"""The workflow's `mask`: columns that are made unreadable before any row is written anywhere.

Rows are masked as the last thing before they are written: behind the resource's own steps, its validation and its
incremental, which all see the rows as they are. What another resource reads from this one is not masked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from dlt.common.schema import Schema
from dlt.extract import DltSource

from nilus.errors import NilusError, SourceError, WorkflowError
from nilus.protocol.job import Job
from nilus.runtime.engine.internals.steps import ImportFileMeta, get_data_item_format
from nilus.runtime.rows.masks import types
from nilus.runtime.rows.masks.algorithms import Algorithm, algorithm
from nilus.runtime.rows.masks.columns import MaskColumns
from nilus.runtime.rows.masks.frames import mask_frame
from nilus.runtime.rows.steps import last_step
from nilus.runtime.rows.steps.frames import is_frame
from nilus.runtime.rows.steps.type_hints import CastFrames
from nilus.values import address, mask_rule
from nilus.values.spelling import did_you_mean, nearest

log = logging.getLogger("nilus")


def apply(source: DltSource, job: Job, environ: Mapping[str, str]) -> Masking | None:
    """Let the rows of the selected resources be masked, in place.

    Args:
        source: what the source returned.
        job: its masks and type hints.
        environ: where `{NAME}` in the key of an `hmac` is filled in from.

    Returns:
        The masks of the run, or None if it has none.

    Raises:
        WorkflowError: two masks of one column, a key that is not in the environment, a type hint that the masked
            values cannot have.
    """
    if not job.source.mask:
        return None
    columns = MaskColumns(_algorithms(job.source.mask, environ), source.schema.naming)
    casts = types.give(source, columns, job.source.type_hints)
    for resource in source.selected_resources.values():
        caster = CastFrames(casts, columns.name, resource.name) if casts else None
        last_step.add(resource, MaskRows(resource.name, columns, caster))
    return Masking(columns, frozenset(source.resources))


def _algorithms(masks: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Algorithm]:
    run_key = os.urandom(32)
    made = {}
    for column, written in masks.items():
        try:
            rule = mask_rule.parse(written)
        except ValueError as error:
            raise WorkflowError(
                f"source.options.mask: the mask of column {column!r} is wrong: {error}",
                expected="algorithm or algorithm:parameter",
                found="something else; parameters are not shown",
                remedy="correct the mask",
            ) from None
        if mask_rule.ALGORITHMS[rule.algorithm].takes == "key":
            rule = mask_rule.MaskRule(rule.algorithm, _key(column, rule.parameter, environ))
        made[column] = algorithm(rule, run_key)
    return made


def _key(column: str, written: str, environ: Mapping[str, str]) -> str:
    key, missing = address.fill_text(written, environ)
    empty = [name for name in sorted(address.names(written)) if name not in missing and not environ[name]]
    if missing or empty:
        name = (missing or empty)[0]
        raise WorkflowError(
            f"source.options.mask: the key for column {column!r} is not there",
            expected=f"{name} in source_env, or in the worker's environment",
            found="no such variable" if missing else "an empty one",
            remedy="set it; a key that is the same for everybody hides nothing",
        )
    return key


class MaskRows:
    """Masks the rows of one resource.

    Args:
        resource: its name, for messages.
        columns: the masks.
        casts: gives masked columns of tables their hinted type.
    """

    def __init__(self, resource: str, columns: MaskColumns, casts: CastFrames | None) -> None:
        self._columns = columns
        self._casts = casts
        self._resource = resource

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return rows with their columns masked.

        Raises:
            SourceError: a value or a kind of row that cannot be masked.
        """
        try:
            return self._mask_item(item, meta)
        except NilusError as error:
            raise type(error)(
                f"Resource {self._resource!r}: {error.message}",
                expected=error.expected,
                found=error.found,
                remedy=error.remedy,
                retryable=error.retryable,
            ) from None

    def _mask_item(self, item: Any, meta: Any) -> Any:
        if isinstance(meta, ImportFileMeta) or get_data_item_format(item) == "model":
            raise SourceError(
                "what it yields cannot be masked",
                expected="rows: dicts, lists of dicts, DataFrames, Arrow tables and record batches",
                found="a file to import" if isinstance(meta, ImportFileMeta) else "a query to run in the destination",
                remedy="yield the rows themselves, or remove source.options.mask",
            )
        if isinstance(item, list):
            # An empty list can be of a type that means something to dlt.
            return [self._one(one) for one in item] if item else item
        return self._one(item)

    def _one(self, item: Any) -> Any:
        self._columns.resources.add(self._resource)
        if not is_frame(item):
            return self._columns.row(item)
        table = mask_frame(item, self._columns)
        return table if self._casts is None else self._casts(table)


class Masking:
    """The masks of a run, to be asked when its rows have been extracted.

    Args:
        columns: the masks.
        resources: all resources of the source, also those that this run does not load.
    """

    def __init__(self, columns: MaskColumns, resources: frozenset[str]) -> None:
        self.columns = columns
        self._resources = resources
        self._before: frozenset[str] = frozenset()

    def begin(self, known: Schema | None, resources: Mapping[str, Any], *, is_made_anew: bool) -> None:
        """Look at what earlier runs have loaded.

        Args:
            known: the schema as the destination has stored it; None if there is none.
            resources: those that are loaded.
            is_made_anew: their tables are dropped first.

        Raises:
            WorkflowError: a column exists whose type cannot hold what its mask gives.
        """
        if known is None:
            return
        self._before = frozenset(name for table in known.data_tables() for name in table["columns"])
        if not is_made_anew:
            types.refuse_others(known, self.columns, resources)

    def refuse_unseen(self) -> None:
        """Refuse to load if a column that is to be masked has not come: its name may be wrong, its values in clear.

        A column that an earlier run loaded may be missing. So may any column if a resource of the source gave no rows
        or is not part of this run, unless a name that did come is so much alike that it is probably meant.

        Raises:
            WorkflowError: such a column; nothing is loaded.
        """
        before = self._before
        for mask in self.columns.masks:
            name, came = self.columns.missing(mask)
            if mask.is_seen or not came or self.columns.table_name(mask) in before:
                continue
            is_nested_in_known = len(mask.paths[0]) > 1 and mask.paths[0][0] in before
            if nearest(name, came) is None and (is_nested_in_known or self._resources - self.columns.resources):
                log.warning("Column %r, which is to be masked by %s, came in no row", mask.column, mask.algorithm.name)
                continue
            raise WorkflowError(
                f"Column {mask.column!r} is to be masked, but no row has it{did_you_mean(name, came)}",
                expected=f"{mask.column!r} in a row, or in the columns that an earlier run loaded",
                found=f"the columns {', '.join(sorted(came)[:20])}",
                remedy="correct the name in source.options.mask, or remove it: what a misspelt mask was meant for "
                "would be loaded in clear. A column that comes only sometimes has to be declared in the `columns` of "
                "its resource. Nothing was loaded",
            )
