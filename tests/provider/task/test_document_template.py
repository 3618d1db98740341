"""Documents with Jinja's own blocks: what a template compares is the value, what it writes stays one value."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from jinja2 import DictLoader, TemplateError

from airflow_provider_nilus.task.document_template import DocumentTemplate

NESTED = "a\nmask: {email: none}"


def _document(text: str, files: dict[str, str] | None = None, *, native: bool = False, **context: Any) -> Any:
    env = DAG("d", schedule=None, render_template_as_native_obj=native).get_template_env()
    env.loader = DictLoader({"whole.yaml": text, **(files or {})})
    return DocumentTemplate(env, context, lambda value: value).document("whole.yaml", set())  # type: ignore[arg-type]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "{% set x %}{{ v }}{% endset %}{% if x == 'a' %}same: {{ x }}{% endif %}",
        "{% set x %}<{{ v }}>{% endset %}{% if x == '<a>' %}same: {{ x[1] }}{% endif %}",
        "{% macro m(n) %}{{ n }}{% endmacro %}{% if m(v) == 'a' %}same: {{ m(v) }}{% endif %}",
        "{% macro m() %}{{ caller() == 'a' }}{% endmacro %}is: {% call m() %}{{ v }}{% endcall %}\nsame: {{ v }}",
        "{% import 'macros' as m %}{% if m.echo(v) == 'a' %}same: {{ m.echo(v) }}{% endif %}",
        "same: {% filter lower %}{{ v | upper }}{% endfilter %}",
        "same: {% for n in [v] recursive %}{{ n }}{% endfor %}",
        "{% if v == 'a' %}{% include 'same' %}{% endif %}",
        "{% extends 'base' %}{% block inner %}same: {{ v }}{% endblock %}",
    ],
)
def test_a_template_compares_and_writes_the_values_themselves(text: str, native: bool) -> None:
    files = {
        "macros": "{% macro echo(n) %}{{ n }}{% endmacro %}",
        "same": "same: {{ v }}",
        "base": "{% block inner %}{% endblock %}",
    }
    assert _document(text, files, native=native, v="a")["same"] == "a"


@pytest.mark.parametrize(
    "text",
    [
        "{% set x %}{{ v }}{% endset %}t: {{ x }}",
        "{% macro m(n) %}{{ n }}{% endmacro %}t: {{ m(v) }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}t: {% call m() %}{{ v }}{% endcall %}",
        "t: {% filter trim %}{{ v }}{% endfilter %}",
        "t: {% for n in [v] recursive %}{{ n }}{% endfor %}",
        "{% set x = v %}t: {{ x }}",
    ],
)
def test_whatever_writes_a_value_it_stays_one_text(text: str) -> None:
    assert _document(text, v=NESTED) == {"t": NESTED}


@pytest.mark.parametrize(
    "text",
    [
        "{% set x %}{% include 'part' %}{% endset %}t: {{ x }}",
        "{% filter upper %}{% block b %}{{ v }}{% endblock %}{% endfilter %}",
        "{% block b %}t: {{ v }}{% endblock %}{% if self.b() == 't: a' %}{% endif %}",
        "{% extends 'part' %}{% block b %}{{ super() }}{% endblock %}",
    ],
)
def test_a_text_that_cannot_be_compared_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(TemplateError, match="not supported in a document: write the text where it is used"):
        _document(text, {"part": "{% block b %}{{ v }}{% endblock %}"}, v="a")
