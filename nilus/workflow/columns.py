"""What a workflow says of columns: lists of names, type hints, masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from nilus.values import mask_rule
from nilus.values.redaction import kind, redact_value
from nilus.values.spelling import did_you_mean
from nilus.workflow.template_values import TemplatedText

DataType = Literal["text", "bigint", "bool", "timestamp", "date", "decimal", "double", "binary", "json", "time"]
_TYPES: tuple[str, ...] = get_args(DataType)
_OTHER_NAMES = {
    "string": "text",
    "str": "text",
    "varchar": "text",
    "int": "bigint",
    "integer": "bigint",
    "long": "bigint",
    "boolean": "bool",
    "datetime": "timestamp",
    "timestamptz": "timestamp",
    "float": "double",
    "real": "double",
    "numeric": "decimal",
    "bytes": "binary",
    "jsonb": "json",
    "object": "json",
}


def column_list(value: object) -> list[str]:
    """Return the columns of `"a, b"` or `["a", "b"]`.

    Raises:
        ValueError: an empty or a repeated name, or something that is no text.
    """
    if value is None:
        return []
    if not isinstance(value, str | int | list | tuple) or isinstance(value, bool):
        raise ValueError(f"expected column names, comma-separated or as a list, found {kind(value)}")  # noqa: TRY004 - pydantic collects these
    items = list(value) if isinstance(value, list | tuple) else str(value).split(",")
    if items == [""]:
        return []
    columns = [_column_name(item) for item in items]
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"the column {redact_value(column)} is given twice")
    return columns


def _column_name(item: object) -> str:
    if not isinstance(item, str | int) or isinstance(item, bool):
        raise ValueError(f"expected names of columns, found {kind(item)}")  # noqa: TRY004 - pydantic collects these
    name = str(item).strip()
    if not name:
        raise ValueError("expected names of columns, found an empty one")
    return name


def _hint_pairs(value: object) -> object:
    """Bring `{c: t}`, `["c:t"]` and `"c:t,c2:t2"` into the first form."""
    if value is None or isinstance(value, Mapping):
        return value or {}
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"expected column: type pairs, found {kind(value)}")  # noqa: TRY004 - pydantic collects these
    items = value.split(",") if isinstance(value, str) else value
    hints: dict[str, str] = {}
    for item in items:
        if isinstance(item, Mapping):
            pairs = [(str(column).strip(), hint) for column, hint in item.items()]
        else:
            pairs = [_hint_pair(item)]
        for column, hint in pairs:
            if column in hints:
                raise ValueError(f"the column {redact_value(column)} is given twice")
            hints[column] = hint
    return hints


def _hint_pair(item: object) -> tuple[str, str]:
    column, colon, hint = item.rpartition(":") if isinstance(item, str) else ("", "", "")
    if not colon or not column.strip():
        raise ValueError(f"expected column:type, found {redact_value(item)}")
    return column.strip(), hint


def _data_type(value: object) -> str:
    name = value.strip().lower() if isinstance(value, str) else ""
    if name in _TYPES:
        return name
    hint = f", did you mean {_OTHER_NAMES[name]}?" if name in _OTHER_NAMES else did_you_mean(name, _TYPES)
    raise ValueError(f"expected one of {', '.join(_TYPES)}, found {redact_value(value)}{hint}")


def _mask_rule(value: object) -> str:
    """Check `algorithm[:parameter]`, and bring the algorithm into one spelling. The parameter is never shown."""
    if isinstance(value, TemplatedText) and value.placeholders:
        raise ValueError("the key's {NAME} comes out of a template; write it into the document")
    rule = mask_rule.parse(value)
    _, colon, parameter = str(value).partition(":")
    return f"{rule.algorithm}{colon}{parameter}"


def _mask_map(value: object) -> object:
    if value is None or isinstance(value, Mapping):
        masks: dict[str, object] = {}
        for column, rule in (value or {}).items():
            name = _column_name(column)
            if name in masks:
                raise ValueError(f"the column {redact_value(name)} is given twice")
            masks[name] = rule
        return masks
    raise ValueError(f"expected a mapping column: algorithm, found {kind(value)}")


ColumnList = Annotated[list[str], BeforeValidator(column_list)]
TypeHints = Annotated[dict[str, Annotated[DataType, BeforeValidator(_data_type)]], BeforeValidator(_hint_pairs)]
Masks = Annotated[dict[str, Annotated[str, BeforeValidator(_mask_rule)]], BeforeValidator(_mask_map)]
