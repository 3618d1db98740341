"""`repo`, `source` and `sink` as arguments: they win over the document key by key."""

from __future__ import annotations

from nilus.workflow.models import Workflow


def test_arguments_alone_make_a_workflow(make):
    assert Workflow.parse(overrides=make()) == Workflow.parse(make())
    assert Workflow.parse("", overrides=make()) == Workflow.parse(make())


def test_an_argument_wins_and_the_other_keys_stand(make):
    document = make(repo={"ref": "main", "baseDir": "a"}, source={"page-size": 1, "yield-limit": 2})
    workflow = Workflow.parse(
        document, overrides={"repo": {"ref": "v2"}, "source": {"options": {"page-size": 9}}, "sink": None}
    )
    assert (workflow.repo.ref, workflow.repo.base_dir) == ("v2", "a")
    assert (workflow.source.page_size, workflow.source.yield_limit) == (9, 2)
    assert workflow.source.table == "orders"


def test_an_argument_wins_over_the_other_spelling(make):
    document = make(repo={"baseDir": "a"}, source={"page-size": 1, "my-own": 1}, sink={"cluster_by": ["a"]})
    workflow = Workflow.parse(
        document,
        overrides={
            "repo": {"base_dir": "b"},
            "source": {"options": {"page_size": 2, "my_own": 2}},
            "sink": {"options": {"cluster-by": ["b"]}},
        },
    )
    assert workflow.repo.base_dir == "b"
    assert workflow.source.page_size == 2
    assert workflow.source.options == {"my_own": 2}
    assert workflow.sink.cluster_by == ["b"]


def test_a_reference_wins_over_a_flag_of_the_document(make):
    document = make(repo={"syncFlags": ["--ref=main", "--depth=0"]})
    repo = Workflow.parse(document, overrides={"repo": {"ref": "v2"}}).repo
    assert (repo.ref, repo.depth) == ("v2", 0)


def test_a_flag_wins_over_a_reference_of_the_document_and_other_flags_stand(make):
    document = make(repo={"ref": "main", "syncFlags": ["--depth=0"]})
    repo = Workflow.parse(document, overrides={"repo": {"sync_flags": ["--branch=v2"]}}).repo
    assert (repo.ref, repo.depth) == ("v2", 0)


def test_a_key_of_the_source_wins_over_the_same_key_on_the_sink_of_the_document(make):
    document = make(sink={"primary-key": "id"})
    overrides = {"source": {"options": {"primary_key": ["tenant"]}}}
    assert Workflow.parse(document, overrides=overrides).source.primary_key == ["tenant"]


def test_a_map_of_columns_is_replaced_as_a_whole(make):
    document = make(source={"mask": {"a": "hash", "b": "hash"}})
    overrides = {"source": {"options": {"mask": {"c": "redact"}}}}
    assert Workflow.parse(document, overrides=overrides).source.mask == {"c": "redact"}


def test_none_is_not_given_and_never_loosens_a_pinned_reference(make):
    document = make(repo={"syncFlags": ["--ref=v1"]}, source={"page-size": 3})
    workflow = Workflow.parse(document, overrides={"repo": {"ref": None}, "source": {"options": {"page-size": None}}})
    assert workflow.repo.ref == "v1"
    assert workflow.source.page_size == 3


def test_arguments_override_a_manifest(make):
    manifest = {"type": "nilus", "spec": make()}
    assert Workflow.parse(manifest, overrides={"sink": {"address": "duckdb:///b"}}).sink.address == "duckdb:///b"


def test_a_problem_says_that_it_is_in_an_argument(make, problems):
    text = problems(
        make(source={"page-size": 1}),
        overrides={
            "repo": {"ulr": "x"},
            "source": {"options": {"page_size": "many"}},
            "sink": {"options": {"partition-by": [{"column": "c", "type": "dya"}]}},
        },
    )
    assert "repo.ulr (argument): unknown key, did you mean url?" in text
    assert "source.options.page_size (argument): expected a whole number" in text
    assert "sink.options.partition-by[0].type (argument): expected one of" in text


def test_a_problem_of_the_document_that_an_argument_does_not_touch_keeps_its_path(make, problems):
    text = problems(make(source={"page-size": "many"}), overrides={"source": {"options": {"page_size": None}}})
    assert "source.options.page-size: expected a whole number" in text


def test_a_wrong_value_that_is_overridden_is_no_problem(make):
    document = make(sink={"partition-by": [{"column": "c", "type": "dya"}]})
    overrides = {"sink": {"options": {"partition_by": [{"column": "c", "type": "day"}]}}}
    assert Workflow.parse(document, overrides=overrides).sink.partition_by[0].type == "day"


def test_what_an_overriding_list_lacks_is_reported_in_the_argument(make, problems):
    document = make(sink={"partition-by": [{"column": "c", "type": "day"}]})
    text = problems(document, overrides={"sink": {"options": {"partition_by": [{"column": "c"}]}}})
    assert "sink.options.partition_by[0].type (argument): missing" in text


def test_an_argument_and_the_document_together_may_conflict(make, problems):
    text = problems(
        make(source={"interval-start": "2024-01-01"}), overrides={"sink": {"options": {"full-refresh": True}}}
    )
    assert "sink.options.full-refresh (argument): drops the tables" in text


def test_an_unknown_section_is_refused(make, problems):
    assert "sorce (argument): unknown key, did you mean source?" in problems(make(), overrides={"sorce": {}})
