"""The `mask` of a workflow: what is refused when it is read, and that no key of it is shown."""

from __future__ import annotations

from uuid import uuid4

import pytest

from nilus.errors import WorkflowError
from nilus.values.mask_rule import ALGORITHMS, MaskRule, keys, parse
from nilus.workflow.models import Workflow

KEY = "hunter2-hunter2"


def document(mask):
    return {
        "repo": {"url": "https://example.com/a"},
        "source": {"address": "custom://Shop", "options": {"source-table": "t", "mask": mask}},
        "sink": {"address": "duckdb:////tmp/x.duckdb", "options": {"dest-table": "raw"}},
    }


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("hsah", "unknown algorithm, expected one of hash, .*, did you mean hash"),
        (f"hmca:{KEY}", "did you mean hmac"),
        ("hmac", "expected hmac:<key>, found hmac alone"),
        ("hmac: ", "expected hmac:<key>, found nothing"),
        ("fixed", "expected fixed:<text>"),
        (f"hash:{KEY}", "it takes no parameter"),
        (f"partial:{KEY}", "expected partial:<n>, a whole number from 1"),
        ("partial:0", "a whole number from 1"),
        ("round:-5", "a whole number from 1"),
        ("round:1e3", "a whole number from 1"),
        ("range:²", "a whole number from 1"),
        ("date_shift:" + "9" * 30, "a whole number from 1"),
        ("noise:0", "a number above 0"),
        ("noise:nan", "a number above 0"),
        ("noise:inf", "a number above 0"),
        (f"noise:{KEY}", "a number above 0"),
        (7, "unknown algorithm"),
    ],
)
def test_a_wrong_mask_is_refused_when_the_workflow_is_read(rule, problem):
    with pytest.raises(WorkflowError, match=problem) as caught:
        Workflow.parse(document({"c": rule}))
    assert "source.options.mask.c" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_column_that_is_named_twice_is_refused():
    with pytest.raises(WorkflowError, match="'c' is given twice"):
        Workflow.parse(document({"c": "hash", " c ": "md5"}))


def test_a_parameter_that_is_left_out_has_the_documented_default():
    defaults = {name: known.default for name, known in ALGORITHMS.items() if known.default}
    assert defaults == {"partial": "2", "round": "10", "range": "100", "noise": "0.1", "date_shift": "30"}
    assert parse("Date-Shift") == parse("date_shift:") == MaskRule("date_shift", "30")
    assert parse("fixed: a:b ") == MaskRule("fixed", " a:b ")


def test_a_key_is_in_no_display_of_a_workflow_or_rule():
    workflow = Workflow.parse(document({"ssn": f"hmac:{KEY}", "c": "partial:3"}))
    assert workflow.redacted()["source"]["options"]["mask"] == {"ssn": "hmac:***", "c": "partial:***"}
    assert KEY not in repr(workflow) + str(workflow.redacted()) + repr(parse(f"hmac:{KEY}"))
    assert keys(workflow.source.mask) == [KEY]


@pytest.mark.parametrize(
    "mask", [{"ssn": f"hmac:{KEY}"}, [f"ssn:hmac:{KEY}"], f"ssn:hmac:{KEY}", {"ssn": {"hmac": KEY}}]
)
@pytest.mark.parametrize("as_text", [True, False])
def test_rendered_templates_hold_no_key(mask, as_text):
    import yaml

    from airflow_provider_nilus.task.rendered_fields import redact_field

    rendered = yaml.safe_dump(document(mask)) if as_text else document(mask)
    assert KEY not in str(redact_field("workflow", rendered))
    manifest = {"type": "nilus", "spec": document(mask)}
    assert KEY not in str(redact_field("workflow", yaml.safe_dump(manifest) if as_text else manifest))


@pytest.mark.parametrize("written", ["{key}", "{{MASK_KEY}}", "${{MASK_KEY}}"])
@pytest.mark.parametrize("by", ["source_env", "worker"])
def test_airflow_s_masker_hears_of_every_key(monkeypatch, written, by):
    from airflow_provider_nilus.task.secrets import hide, of_workflow, redact_text

    key = f"key-{uuid4().hex}"
    if by == "worker":
        monkeypatch.setenv("MASK_KEY", key)
    source_env = {"MASK_KEY": key} if by == "source_env" else {}
    assert key in redact_text(f"with {key} in it")
    hide(*of_workflow(Workflow.parse(document({"ssn": f"hmac:{written.format(key=key)}"})), source_env))
    assert redact_text(f"with {key} in it") == "with *** in it"
