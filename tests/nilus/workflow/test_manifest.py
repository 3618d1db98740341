"""The block in a manifest of DataOS 1 or 2, the choice of a step, and what is ignored."""

from __future__ import annotations

import logging

import pytest

from nilus.workflow.models import Workflow

DATAOS_1 = """
name: custom-source-sync
version: v1
type: workflow
tags: [custom_source]
workspace: public
workflow:
  schedule:
    cron: "*/10 * * * *"
  dag:
    - name: load-orders
      spec:
        stack: nilus:1.0
        compute: runnable-default
        dataosSecrets:
          - name: git-secret
        resources:
          requests: {cpu: 100m, memory: 128Mi}
        logLevel: INFO
        stackSpec:
          repo:
            url: https://git.example.com/team/sources
            syncFlags: ["--ref=main"]
            baseDir: sources
          source:
            address: custom://Orders
            options: {source-table: orders}
          sink:
            address: dataos://lakehouse
            options: {dest-table: raw, incremental-strategy: append}
"""

DATAOS_2 = """
name: custom-source-sync
version: v1alpha
type: nilus
tags: [nilus-batch]
description: Orders
spec:
  type: batch
  compute: universe-compute
  runAsUser: someone
  logLevel: INFO
  schedule: {crons: ["30 11 * * *"]}
  resources: {requests: {cpu: 200m}}
  use: {projection: {secrets: []}}
  repo:
    url: https://git.example.com/team/sources
    syncFlags: ["--ref=main"]
    baseDir: sources
  source:
    address: custom://Orders
    options: {source_table: orders}
  sink:
    address: dataos://lakehouse
    options: {dest_table: raw, incremental_strategy: append}
"""


def workflow_manifest(*steps, under="workflow"):
    return {"type": "workflow", under: {"dag": list(steps)}}


@pytest.fixture
def step(make):
    def made(name, *, table="orders", **spec):
        return {"name": name, "spec": {"stackSpec": make(source={"source-table": table}), **spec}}

    return made


def test_both_manifests_hold_the_same_workflow_as_the_bare_block():
    bare = {
        "repo": {"url": "https://git.example.com/team/sources", "ref": "main", "baseDir": "sources"},
        "source": {"address": "custom://Orders", "options": {"source-table": "orders"}},
        "sink": {
            "address": "dataos://lakehouse",
            "options": {"dest-table": "raw", "incremental-strategy": "append"},
        },
    }
    assert Workflow.parse(DATAOS_1) == Workflow.parse(DATAOS_2) == Workflow.parse(bare)


@pytest.mark.parametrize("under", ["workflow", "spec"])
def test_the_steps_are_under_workflow_or_spec(step, under):
    assert Workflow.parse(workflow_manifest(step("a"), under=under)).source.table == "orders"


@pytest.mark.parametrize("key", ["stackSpec", "stack-spec", "stack_spec"])
def test_the_stack_spec_may_be_spelled_every_way(make, key):
    manifest = workflow_manifest({"name": "a", "spec": {key: make()}})
    assert Workflow.parse(manifest) == Workflow.parse(make())


def test_a_nilus_manifest_may_have_a_stack_spec(make):
    assert Workflow.parse({"type": "nilus", "spec": {"stack": "nilus", "stackSpec": make()}}) == Workflow.parse(make())


@pytest.mark.parametrize("stack", ["nilus", "nilus:1.0", "Nilus:3.0"])
def test_only_steps_of_the_nilus_stack_count(step, stack):
    manifest = workflow_manifest(
        step("flare", stack="flare:5.0"), step("load", table="mine", stack=stack), {"name": "x"}
    )
    assert Workflow.parse(manifest).source.table == "mine"


def test_a_step_without_a_stack_counts_by_its_stack_spec(step):
    assert Workflow.parse(workflow_manifest(step("a", table="mine"))).source.table == "mine"


def test_several_steps_are_an_error_that_lists_them(step, problems):
    text = problems(workflow_manifest(step("users"), step("flare", stack="flare:5.0"), step("orders")))
    assert "2 steps of the nilus stack" in text
    assert "'users', 'orders'" in text
    assert "flare" not in text


def test_a_step_is_chosen_by_its_name(step):
    manifest = workflow_manifest(step("users", table="u"), step("orders", table="o"))
    assert Workflow.parse(manifest, step="orders").source.table == "o"


def test_a_step_that_is_not_there_is_an_error_that_lists_the_others(step, problems):
    text = problems(workflow_manifest(step("users"), step("orders")), step="items")
    assert "no steps of the nilus stack are named 'items'" in text
    assert "'users', 'orders'" in text


def test_two_steps_of_one_name_are_an_error(step, problems):
    assert "2 steps of the nilus stack are named 'a'" in problems(workflow_manifest(step("a"), step("a")), step="a")


def test_a_manifest_without_a_step_of_nilus_is_an_error(step, problems):
    assert "no step of the nilus stack" in problems(workflow_manifest(step("a", stack="flare")))


@pytest.mark.parametrize("manifest", ["bare", "nilus"])
def test_a_step_asked_for_where_there_are_none_is_an_error(make, problems, manifest):
    document = make() if manifest == "bare" else {"type": "nilus", "spec": make()}
    assert "has no steps" in problems(document, step="a")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"type": "workflow"}, "workflow: expected a mapping, found nothing"),
        ({"type": "workflow", "workflow": {}}, "workflow.dag: expected a list of steps, found nothing"),
        ({"type": "workflow", "workflow": {"dag": {}}}, "workflow.dag: expected a list of steps, found a mapping"),
        ({"type": "nilus"}, "spec: expected a mapping, found nothing"),
        ({"type": "nilus", "spec": []}, "spec: expected a mapping, found a list"),
        ({"type": "service", "service": {}}, "A manifest of type 'service' holds no workflow"),
        ({"type": None}, "A manifest of type nothing"),
        ({"workflow": {"dag": []}}, "neither repo nor source nor sink"),
        ({"type": "nilus", "spec": {"type": "cdc"}}, "spec.type: only batch pipelines run custom sources"),
        ({"type": "nilus", "spec": {}, "Spec": {}}, "the same key twice: spec and Spec"),
    ],
)
def test_a_manifest_of_another_shape_is_an_error_that_says_what_was_expected(problems, document, text):
    assert text in problems(document)


@pytest.mark.parametrize("typo", ["sorce", "sinks", "repos"])
def test_a_misspelled_section_of_a_manifest_is_not_ignored(make, problems, typo):
    text = problems({"type": "nilus", "spec": {**make(), typo: {}}})
    assert f"spec.{typo}: unknown key, did you mean" in text


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (
            lambda block: workflow_manifest({"name": "a", "spec": {"stackSpec": block}}),
            "workflow.dag[0].spec.stackSpec",
        ),
        (
            lambda block: workflow_manifest({"name": "a", "spec": {"stack_spec": block}}, under="spec"),
            "spec.dag[0].spec.stack_spec",
        ),
        (lambda block: {"type": "nilus", "spec": block}, "spec"),
        (lambda block: {"type": "nilus", "spec": {"stackSpec": block}}, "spec.stackSpec"),
    ],
)
def test_a_problem_in_a_manifest_has_its_whole_path(make, problems, manifest, path):
    block = make(sink={"incremental-stratgy": "append"})
    del block["source"]["options"]["source-table"]
    text = problems(manifest(block))
    assert f"{path}.sink.options.incremental-stratgy: unknown key" in text
    assert f"{path}.source.options.source-table: missing" in text


@pytest.mark.parametrize(
    ("manifest", "ignored"),
    [
        (DATAOS_1, ["name", "version", "tags", "workspace", "workflow.schedule", "workflow.dag[0].spec.compute"]),
        (DATAOS_2, ["name", "version", "description", "spec.schedule", "spec.compute", "spec.runAsUser", "spec.use"]),
    ],
)
def test_what_a_manifest_schedules_is_ignored_and_logged_once(caplog, manifest, ignored):
    caplog.set_level(logging.INFO, "nilus.workflow")
    Workflow.parse(manifest)
    records = [record for record in caplog.records if record.name == "nilus.workflow"]
    assert [record.levelname for record in records] == ["INFO"]
    message = records[0].getMessage()
    assert "The DAG schedules" in message
    for key in ignored:
        assert key in message


def test_a_bare_block_has_nothing_to_ignore(make, caplog):
    caplog.set_level(logging.DEBUG)
    Workflow.parse(make())
    assert caplog.records == []


def test_an_unknown_key_in_a_stack_spec_is_refused(make, problems):
    manifest = workflow_manifest({"name": "a", "spec": {"stackSpec": {**make(), "logLevel": "INFO"}}})
    assert "workflow.dag[0].spec.stackSpec.logLevel: unknown key" in problems(manifest)


@pytest.mark.parametrize("version", ["nilus-v11", "Nilus-v11", "nilus-1.0", "nilus-2"])
def test_a_version_of_the_stack_changes_nothing(version):
    as_type = DATAOS_2.replace("type: nilus", f"type: {version}")
    as_stack = DATAOS_1.replace("stack: nilus:1.0", f"stack: {version}")
    assert as_type != DATAOS_2
    assert as_stack != DATAOS_1
    assert Workflow.parse(as_type) == Workflow.parse(DATAOS_2)
    assert Workflow.parse(as_stack) == Workflow.parse(DATAOS_1)


@pytest.mark.parametrize("name", ["nilus-server", "nilusx", "minilus"])
def test_another_stack_with_a_similar_name_is_refused(name, problems):
    assert "holds no workflow" in str(problems(DATAOS_2.replace("type: nilus", f"type: {name}")))
