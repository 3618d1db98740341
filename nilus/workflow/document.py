"""A workflow document as text: YAML 1.2 in plain Python values, or an error that shows nothing of the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from nilus.errors import WorkflowError
from nilus.values.redaction import kind, redact_value
from nilus.workflow.template_values import TemplateValues

_TAG = "tag:yaml.org,2002:"
_LONGEST_NUMBER = 4000
_DEEPEST = 50


class NumberText(str):
    """A number as its author wrote it: `1.10` stays the text `1.10` where text is wanted."""

    __slots__ = ()

    def number(self) -> int | float:
        """Return the number."""
        try:
            return int(self)
        except ValueError:
            return float(self)


class _Loader(yaml.SafeLoader):
    """Resolves what YAML 1.2 resolves, and less: dates, `yes`/`on`, `1_000`, `017` and `1:30` stay text.

    PyYAML's own resolver follows YAML 1.1, where these become dates, booleans and other numbers.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it

    def __init__(self, text: str, values: TemplateValues | None = None) -> None:
        super().__init__(text)
        self._template_values = values

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        # Before its type is decided: a number or `true` that a template gives is one.
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self._template_values is not None:
            written = event.value
            event.value = self._template_values.restore(written, is_plain=event.implicit[0])
            if written != event.value == "<<":
                event.tag = f"{_TAG}str"
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here and not when it is constructed: by then a `<<` may have put the keys of another mapping into the node.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                raise _not_usable(
                    f"The workflow document has the key {redact_value(key.value)} twice in one mapping: "
                    f"on line {first[key.value]} and on line {line}.",
                    "Keep one of the two.",
                )
            first[key.value] = line
        return node

    def construct_number(self, node: yaml.ScalarNode) -> NumberText:
        text = NumberText(self.construct_scalar(node))
        try:
            text.number()
        except ValueError:
            raise yaml.constructor.ConstructorError(None, None, "expected a number", node.start_mark) from None
        return text


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", rf"[-+]?(?:0|[1-9][0-9]{{0,{_LONGEST_NUMBER}}})", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]{0,300})(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_number)
_Loader.add_constructor(f"{_TAG}float", _Loader.construct_number)


def load_document(document: str | Mapping[str, Any] | None, values: TemplateValues | None = None) -> Mapping[str, Any]:
    """Return the mapping a workflow document holds.

    Args:
        document: YAML (or JSON) text, a mapping, which is returned as it is, or None or blank text: an empty mapping.
        values: what the templates in the text gave, where tokens stand for it.

    Raises:
        WorkflowError: the text is not YAML, or not one mapping, or has a key twice in one mapping.
    """
    if document is None or isinstance(document, Mapping):
        return document or {}
    content = _load_yaml(document, values)
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        file_name = re.fullmatch(r"\s*\S+\.ya?ml\s*", document) is not None
        raise WorkflowError(
            "The workflow document is not a mapping.",
            expected="a mapping with repo, source and sink, or a manifest that holds one",
            found="a file's name instead of its content" if file_name else kind(content),
            remedy="Give the text of the document, not its file name." if file_name else "",
        )
    return content


def to_plain(value: object, *, depth: int = 0) -> Any:
    """Return `value` as plain JSON values, `NumberText` as numbers; what the author handed over is not changed.

    Raises:
        ValueError: a value is neither text, number, boolean, nothing, list nor mapping, or they nest without end.
    """
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if isinstance(value, NumberText):
        return value.number()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(item, depth=depth + 1) for item in value]
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) for key in value):
            raise ValueError("expected keys that are text")
        return {str(key): to_plain(item, depth=depth + 1) for key, item in value.items()}
    raise ValueError(f"expected text, a number, true or false, a list or a mapping, found {kind(value)}")


def _load_yaml(text: str, values: TemplateValues | None) -> Any:
    # Neither the snippet nor the chained exception may survive: both quote the document, addresses included.
    try:
        return _Loader(text, values).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = re.sub(r"""(['"])(?!<)(?:(?!\1).){2,}\1""", "…", error.problem or error.context or "not readable")
        message = f"The workflow document is not valid YAML: {reason}{place}."
    except yaml.YAMLError:
        message = "The workflow document is not valid YAML: it holds a character that YAML does not allow."
    except RecursionError:
        message = "The workflow document is nested too deeply."
    raise _not_usable(message, "Correct the document; a value with special characters belongs in quotes.")


def _not_usable(message: str, remedy: str) -> WorkflowError:
    return WorkflowError(message, remedy=remedy)
