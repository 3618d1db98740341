"""Values that templates give to a document: each stays within its scalar, and brings no placeholder with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from nilus.errors import WorkflowError
from nilus.workflow.document import load_document
from nilus.workflow.models import Workflow
from nilus.workflow.template_values import TemplatedText, TemplateValues

INJECTIONS = [
    "t\n    x: 'a",
    "t\n    mask: {email: none}",
    'a", "b": "c',
    "a # b",
    "a: b",
    "{a: b}",
    "*anchor",
    "!!python/object/apply:os.system [id]",
]


def _loaded(written: str, *given: Any) -> Mapping[str, Any]:
    values = TemplateValues()
    return load_document(written % tuple(map(values.token, given)), values)


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize("written", ["table: %s\nmask: {email: hash}", "{table: '%s', mask: {email: hash}}"])
def test_whatever_a_template_gives_stays_one_text(written: str, value: str) -> None:
    assert _loaded(written, value) == {"table": value, "mask": {"email": "hash"}}


def test_a_key_that_a_template_gives_is_one_key_and_merges_nothing() -> None:
    assert _loaded("base: &b {x: 1}\nmore: {%s: *b}", "<<") == {"base": {"x": "1"}, "more": {"<<": {"x": "1"}}}


def test_numbers_and_truth_that_a_template_gives_are_such_where_nothing_quotes_them() -> None:
    document = _loaded("a: %s\nb: %s\nc: '%s'", 5, True, 5)
    assert document["a"].number() == 5
    assert document["b"] is True
    assert type(document["c"]) is TemplatedText


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_a_mapping_or_a_list_in_place_of_a_value_is_refused(value: object) -> None:
    with pytest.raises(WorkflowError, match="gives a"):
        _loaded("options: %s", value)


def test_a_token_that_something_rewrote_is_refused() -> None:
    values = TemplateValues()
    with pytest.raises(WorkflowError, match="changes what another one gives"):
        load_document(f"a: {values.token('secret')[:-3]}", values)


@pytest.mark.parametrize("section", ["source", "sink"])
@pytest.mark.parametrize(("written", "value"), [("x/%s", "{KEY}"), ("x/%s", "${KEY}"), ("x/{%s}", "KEY")])
def test_an_address_takes_no_placeholder_out_of_a_template(section: str, written: str, value: str) -> None:
    addresses = {"source": "custom://S", "sink": "duckdb:///a", section: f"custom://{written}"}
    text = (
        "repo: {{url: 'https://h/r'}}\n"
        "source: {{address: '{source}', options: {{source-table: t}}}}\n"
        "sink: {{address: '{sink}', options: {{dest-table: raw}}}}"
    ).format(**addresses)
    with pytest.raises(WorkflowError, match=rf"{section}.address: holds \$?{{KEY}} out of a template"):
        Workflow.parse(_loaded(text, value))


def test_a_placeholder_that_the_document_has_itself_stays_beside_what_a_template_gives() -> None:
    text = _loaded("address: 'x/%s/{KEY}'", "folder")["address"]
    assert (str(text), text.placeholders) == ("x/folder/{KEY}", ())
    assert copy.deepcopy(text).placeholders == pickle.loads(pickle.dumps(text)).placeholders == ()
