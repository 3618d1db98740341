"""Reading a document: text and mapping, both spellings, YAML's traps, unknown keys, every problem at once."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nilus.errors import WorkflowError
from nilus.workflow.models import Workflow

DOCUMENTED = """
repo:
  url: "https://github.com/your-repo"
  syncFlags:
    - "--ref=main"
  baseDir: "my-custom-sources"

source:
  address: custom://MyCustomSource?param1=value1
  options:
    source-table: "my_data"

sink:
  address: dataos://lakehouse
  options:
    incremental-strategy: append
    dest-table: "raw"
"""

EVERY_KEY = {
    "repo": {
        "url": "https://git.example.com/team/sources.git",
        "base-dir": "sources",
        "secret-id": "team:git",
        "sync-flags": ["--ref=v1", "--depth=0", "--filter=blob:none"],
    },
    "source": {
        "address": "custom://Orders?since=2024",
        "options": {
            "source-table": "orders",
            "primary-key": "id, tenant",
            "incremental-key": "updated_at",
            "interval-start": "2024-01-01",
            "interval-end": "2024-02-01T00:00:00Z",
            "type-hints": {"amount": "decimal"},
            "mask": {"e-mail_address": "hash"},
            "max-table-nesting": "1",
            "page-size": 10,
            "extract-parallelism": 2,
            "yield-limit": 3,
            "sql-limit": 7,
            "page-cursor-name": "after",
        },
    },
    "sink": {
        "address": "duckdb:///out.duckdb",
        "options": {
            "dest-table": "raw.orders",
            "incremental-strategy": "merge",
            "partition-by": [{"column": "day_of-order", "type": "bucket", "bucket-count": 4, "index": 1}],
            "cluster-by": ["tenant"],
            "loader-file-size": 5,
            "loader-file-format": "parquet",
            "staging-bucket": "s3://staging",
            "aws-region": "eu-west-1",
            "aws-endpoint": "https://s3.example.com",
        },
    },
}


def test_the_documented_workflow_is_read_with_the_defaults_of_the_contract():
    workflow = Workflow.parse(DOCUMENTED)

    assert workflow.repo.model_dump() == {
        "url": "https://github.com/your-repo",
        "ref": "main",
        "base_dir": "my-custom-sources",
        "depth": 1,
        "submodules": "off",
        "filter": None,
        "sparse_checkout_file": None,
        "sync_timeout": 120,
        "secret_id": None,
    }
    assert workflow.source.model_dump() == {
        "address": "custom://MyCustomSource?param1=value1",
        "table": "my_data",
        "primary_key": [],
        "incremental_key": None,
        "interval_start": None,
        "interval_end": None,
        "type_hints": {},
        "mask": {},
        "max_table_nesting": 0,
        "page_size": 50_000,
        "extract_parallelism": 5,
        "yield_limit": None,
        "sql": {},
        "options": {},
    }
    assert workflow.sink.model_dump() == {
        "address": "dataos://lakehouse",
        "dest_table": "raw",
        "strategy": "append",
        "full_refresh": False,
        "partition_by": [],
        "cluster_by": [],
        "loader_file_size": 100_000,
        "loader_file_format": None,
        "staging_bucket": None,
        "aws_region": None,
        "aws_endpoint": None,
    }
    assert (workflow.sink.dataset, workflow.sink.table) == ("raw", None)


def test_replace_is_the_strategy_of_a_sink_that_names_none(make):
    assert Workflow.parse(make()).sink.strategy == "replace"


def test_text_and_mapping_give_the_same_workflow():
    assert Workflow.parse(yaml.safe_dump(EVERY_KEY)) == Workflow.parse(EVERY_KEY)


def test_json_is_read_as_well(make):
    assert Workflow.parse(json.dumps(make())) == Workflow.parse(make())


def test_the_mapping_of_the_author_is_not_changed():
    before = copy.deepcopy(EVERY_KEY)
    Workflow.parse(EVERY_KEY, overrides={"source": {"options": {"page-size": 1}}})
    assert before == EVERY_KEY


def spelled(key: str, choice: int, *, camel: bool) -> str:
    words = key.split("-")
    if choice == 0:
        return "-".join(words)
    if choice == 1:
        return "_".join(words)
    if choice == 2 and camel:
        return words[0] + "".join(word.title() for word in words[1:])
    return "".join(word + random.Random(choice).choice("-_") for word in words)[:-1]


def respelled(choose):
    """Return `EVERY_KEY` with each of our keys in a spelling that `choose` picks; values stay as they are."""

    def keys(node: dict, *, camel: bool = False) -> dict:
        return {spelled(key, choose(), camel=camel): value for key, value in node.items()}

    partitions = [keys(entry) for entry in EVERY_KEY["sink"]["options"]["partition-by"]]
    sink_options = {**EVERY_KEY["sink"]["options"], "partition-by": partitions}
    return {
        "repo": keys(EVERY_KEY["repo"], camel=True),
        "source": {**EVERY_KEY["source"], "options": keys(EVERY_KEY["source"]["options"])},
        "sink": {**EVERY_KEY["sink"], "options": keys(sink_options)},
    }


@given(st.data())
@settings(database=None, deadline=None)
def test_every_spelling_of_every_key_gives_the_same_workflow(data):
    document = respelled(lambda: data.draw(st.integers(0, 9)))
    assert Workflow.parse(document) == Workflow.parse(EVERY_KEY)


def test_kebab_snake_and_camel_are_each_understood():
    for choice in range(3):
        assert Workflow.parse(respelled(lambda choice=choice: choice)) == Workflow.parse(EVERY_KEY)


def test_names_of_columns_are_not_respelled():
    workflow = Workflow.parse(EVERY_KEY)
    assert workflow.source.mask == {"e-mail_address": "hash"}
    assert workflow.sink.partition_by[0].column == "day_of-order"


@pytest.mark.parametrize(
    ("section", "keys", "second"),
    [
        ("repo", {"baseDir": "a", "base_dir": "a"}, "repo.base_dir"),
        ("source", {"page-size": 1, "page_size": 1}, "source.options.page_size"),
        ("source", {"my-own": 1, "my_own": 1}, "source.options.my_own"),
        ("sink", {"cluster-by": "a", "cluster_by": "a"}, "sink.options.cluster_by"),
    ],
)
def test_a_key_in_two_spellings_is_an_error(make, problems, section, keys, second):
    first = second.rpartition(".")[0] + "." + next(iter(keys))
    assert f"{second}: the same key as {first}, given twice" in problems(make(**{section: keys}))


def test_a_partition_key_in_two_spellings_is_an_error(make, problems):
    entry = {"column": "a", "type": "bucket", "bucket-count": 1, "bucket_count": 1}
    assert "sink.options.partition-by[0].bucket_count: the same key as" in problems(
        make(sink={"partition-by": [entry]})
    )


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"repo": {"ulr": "x"}}, "repo.ulr: unknown key, did you mean url?"),
        ({"repo": {"syncFlag": []}}, "repo.syncFlag: unknown key, did you mean syncFlags?"),
        ({"repo": {"base-folder": "x"}}, "repo.base-folder: unknown key, did you mean base-dir?"),
        ({"source": {"adress": "x"}}, "source.adress: unknown key, did you mean address?"),
        (
            {"source": {"source_table": "x"}},
            "source.source_table: unknown key, did you mean source.options.source-table?",
        ),
        ({"sink": {"option": {}}}, "sink.option: unknown key, did you mean options?"),
        (
            {"sink": {"options": {"incremental-stratgy": "append"}}},
            "sink.options.incremental-stratgy: unknown key, did you mean incremental-strategy?",
        ),
        (
            {"sink": {"options": {"page_size": 1}}},
            "sink.options.page_size: unknown key, did you mean source.options.page-size?",
        ),
        ({"sink": {"options": {"destTable": "x"}}}, "sink.options.destTable: unknown key, did you mean dest-table?"),
        ({"sink": {"options": {"zzz": 1}}}, "sink.options.zzz: unknown key\n"),
        ({"sinks": {}, "repo": {}}, "sinks: unknown key, did you mean sink?"),
        (
            {"sink": {"options": {"partition-by": [{"colum": "a"}]}}},
            "sink.options.partition-by[0].colum: unknown key, did you mean column?",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_its_path_and_the_nearest_key(problems, document, line):
    assert line in problems(document)


def test_an_option_of_the_source_that_is_not_ours_is_handed_over_under_its_snake_case_name(make):
    options = {"page-token-name": "cursor", "run_in_loop": True, "apiToken": "x", "table.include.list": "a", "Limit": 2}
    source = Workflow.parse(make(source=options)).source
    assert source.options == {
        "page_token_name": "cursor",
        "run_in_loop": True,
        "apiToken": "x",
        "table.include.list": "a",
        "Limit": 2,
    }


def test_sql_options_are_kept_apart(make):
    source = Workflow.parse(
        make(source={"sql-limit": 5, "sql_exclude_columns": ["a"], "sql-backend": "pyarrow"})
    ).source
    assert source.sql == {"sql_limit": 5, "sql_exclude_columns": ["a"], "sql_backend": "pyarrow"}
    assert source.options == {}


@pytest.mark.parametrize(
    ("option", "near"),
    [("incremental-keys", "incremental-key"), ("type_hint", "type-hints"), ("pagesize", "page-size")],
)
def test_an_option_that_is_nearly_ours_is_handed_over_with_a_warning(make, caplog, option, near):
    assert len(Workflow.parse(make(source={option: "x"})).source.options) == 1
    warning = next(record for record in caplog.records if record.levelname == "WARNING")
    assert f"source.options.{option}" in warning.getMessage()
    assert near in warning.getMessage()
    assert warning.name == "nilus.workflow"


def test_an_option_of_the_sink_under_the_source_is_handed_over_with_a_warning(make, caplog):
    assert Workflow.parse(make(source={"incremental-strategy": "append"})).source.options == {
        "incremental_strategy": "append"
    }
    assert "is a key of sink.options" in caplog.text


def test_a_plain_option_of_the_source_is_handed_over_without_a_warning(make, caplog):
    Workflow.parse(make(source={"endpoint": "orders", "region": "eu", "merge-key": "id"}))
    assert caplog.records == []


@pytest.mark.parametrize("name", ["table", "uri", "self"])
def test_an_option_named_like_an_argument_of_the_call_is_refused(make, problems, name):
    assert f"source.options.{name}: {name} is an argument that every source is called with" in problems(
        make(source={name: "x"})
    )


def test_an_option_that_cannot_cross_the_process_border_is_refused(make, problems):
    assert "source.options.when: expected text, a number" in problems(make(source={"when": object()}))


def test_an_option_that_holds_itself_is_refused(problems):
    text = """
    repo: {url: https://git.example.com/a}
    source: {address: custom://A, options: {source-table: t, loop: &loop [*loop]}}
    sink: {address: duckdb:///a, options: {dest-table: raw}}
    """
    assert "source.options.loop: nested deeper" in problems(text)


def test_every_problem_is_listed_at_once_with_its_path(problems):
    text = problems(
        """
        repo: {url: "", depht: 1, syncFlags: [--submodules=some, --webhook-url=http://x]}
        source:
          address: custom://A
          options: {page_size: many, type-hints: {a: texd, b: json}, mask: {c: hsah}}
        sink:
          address: duckdb:///a
          options: {dest-table: a.b.c, full-refresh: maybe, partition-by: [{column: d, type: bucket}]}
        """
    )
    for line in (
        "repo.url: is empty",
        "repo.depht: unknown key, did you mean depth?",
        "repo.syncFlags --submodules: expected one of off, shallow, recursive, found 'some'",
        "repo.syncFlags: --webhook-url: refused",
        "source.options.source-table: missing",
        "source.options.page_size: expected a whole number, found 'many'",
        "source.options.type-hints.a: expected one of text,",
        "source.options.mask.c: unknown algorithm",
        "sink.options.dest-table: expected schema or schema.table, found 'a.b.c'",
        "sink.options.full-refresh: expected true or false, found 'maybe'",
        "sink.options.partition-by[0].bucket-count: missing",
    ):
        assert line in text
    assert "The workflow has 11 problems" in text


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"repo": "https://u:hunter2@h/x"}, "repo: expected a mapping, found text"),
        ({"repo": {}, "source": ["custom://A"]}, "source: expected a mapping, found a list"),
        ({"repo": {}, "sink": {"options": 5}}, "sink.options: expected a mapping, found a number"),
        ({"repo": {}, "sink": {1: 2}}, "sink: expected keys that are text, found a number"),
    ],
)
def test_what_is_no_mapping_is_named_by_its_kind(problems, document, line):
    text = problems(document)
    assert line in text
    assert "hunter2" not in text


def test_a_section_that_is_no_mapping_is_not_reported_as_incomplete_too(problems):
    text = problems({"repo": {"url": "https://git.example.com/a"}, "source": [], "sink": None})
    assert "source: expected a mapping" in text
    assert "source-table" not in text
    assert "sink: missing" in text


@pytest.mark.parametrize("empty", [None, "", "# nothing\n", {}])
def test_an_empty_document_lacks_all_three_sections(problems, empty):
    text = problems(empty)
    assert "repo: missing" in text
    assert "source: missing" in text
    assert "sink: missing" in text


@pytest.mark.parametrize("document", ["just words", "[1, 2]", "5"])
def test_text_that_is_no_mapping_is_refused(problems, document):
    assert "not a mapping" in problems(document)


def test_the_name_of_a_file_is_told_from_its_content(problems):
    assert "Give the text of the document, not its file name" in problems("orders.yaml")


# --- YAML ---------------------------------------------------------------------------------------------------------


def yaml_document(*, repo: str = "", source: str = "", sink: str = "") -> str:
    return f"""
repo: {{url: https://git.example.com/a, {repo}}}
source: {{address: custom://A, options: {{source-table: t, {source}}}}}
sink: {{address: duckdb:///a, options: {{dest-table: raw, {sink}}}}}
"""


def test_a_tag_that_looks_like_a_number_keeps_its_digits():
    assert Workflow.parse(yaml_document(repo="ref: 1.10")).repo.ref == "1.10"


@pytest.mark.parametrize("name", ["2024", "017", "1_000", "1e3", "12:30:45", "0x1F", "on", "yes", "No", "2024-01-01"])
def test_a_name_that_yaml_might_take_for_something_else_stays_as_written(name):
    assert Workflow.parse(yaml_document(source=f"incremental-key: {name}")).source.incremental_key == name


def test_a_date_without_quotes_is_an_interval_end():
    source = Workflow.parse(
        yaml_document(source="interval-start: 2024-01-31, interval-end: 2024-02-01 10:30:00")
    ).source
    assert source.interval_start == "2024-01-31T00:00:00+00:00"
    assert source.interval_end == "2024-02-01T10:30:00+00:00"


def test_values_handed_to_the_source_have_yaml_types():
    source = Workflow.parse(
        yaml_document(
            source="a: 5, b: 1.5, c: true, d: null, e: [1, {f: 2}], g: '5', h: 2024-01-01, i: on, j: -7, k: 1e3, l: 017"
        )
    ).source
    assert source.options == {
        "a": 5,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": [1, {"f": 2}],
        "g": "5",
        "h": "2024-01-01",
        "i": "on",
        "j": -7,
        "k": 1000.0,
        "l": "017",
    }
    assert [type(source.options[key]) for key in "abgk"] == [int, float, str, float]


@pytest.mark.parametrize("word", ["yes", "on", "true", "True", '"true"', "1"])
def test_full_refresh_may_be_said_in_every_usual_way(word):
    assert Workflow.parse(yaml_document(sink=f"full-refresh: {word}")).sink.full_refresh is True


def test_a_key_without_a_value_is_not_given():
    workflow = Workflow.parse(yaml_document(repo="ref: , secretId:", source="page-size: , incremental-key: ~"))
    assert workflow.repo.ref is None
    assert workflow.source.page_size == 50_000
    assert workflow.source.incremental_key is None


def test_a_required_key_without_a_value_is_missing(make, problems):
    document = make()
    document["source"]["options"]["source-table"] = None
    assert "source.options.source-table: missing" in problems(document)


def test_a_key_given_twice_in_one_mapping_is_an_error_with_both_lines(problems):
    text = problems("repo:\n  url: https://git.example.com/a\n  url: https://git.example.com/b\n")
    assert "'url' twice in one mapping: on line 2 and on line 3" in text


def test_a_key_given_twice_deep_in_a_manifest_is_an_error(problems):
    text = problems("type: nilus\nspec:\n  source:\n    options: {page-size: 1, page-size: 2}\n")
    assert "'page-size' twice" in text


def test_a_merge_given_twice_in_one_mapping_is_an_error(problems):
    assert "'<<' twice" in problems("a: &a {x: 1}\nb: &b {x: 2}\nc:\n  <<: *a\n  <<: *b\n")


def test_anchors_and_merge_keys_are_understood():
    document = """
repo: {url: https://git.example.com/a}
source:
  address: custom://A
  options: {source-table: t, nested: {one: {<<: &base {a: 1, b: 2}, b: 3}, two: {<<: *base}}}
sink: {address: duckdb:///a, options: {dest-table: raw}}
"""
    assert Workflow.parse(document).source.options["nested"] == {"one": {"a": 1, "b": 3}, "two": {"a": 1, "b": 2}}


def test_a_merged_mapping_that_overrides_a_merged_key_is_no_key_given_twice():
    """The merging mapping is read before the one it merges, which has itself taken over keys."""
    document = """
repo: {url: https://git.example.com/a}
source:
  address: custom://A
  options:
    source-table: t
    one: {deep: &b {<<: {x: 1}, x: 2}}
    two: {<<: *b}
sink: {address: duckdb:///a, options: {dest-table: raw}}
"""
    assert Workflow.parse(document).source.options == {"one": {"deep": {"x": 2}}, "two": {"x": 2}}


@pytest.mark.parametrize(
    "text",
    [
        "repo: *hunter2secret",
        "repo: {url: !hunter2secret x}",
        "repo: {url: 'hunter2secret",
        "address: postgresql://u:hunter2secret@h: x: y",
        "- hunter2secret\nrepo: x",
        "repo: hunter2secret\x00",
        "a: !!int hunter2secret",
        "a: !!python/object:hunter2secret.x {}",
        "%hunter2secret\n---\n{",
        "repo: 1\n---\nsource: hunter2secret\n",
    ],
)
def test_text_that_is_no_yaml_is_an_error_that_quotes_nothing_of_it(problems, text):
    message = problems(text)
    assert "not valid YAML" in message
    assert "hunter2secret" not in message


def test_the_error_names_line_and_column(problems):
    assert "line 2, column" in problems("repo:\n  url: x: y\n")


def test_brackets_without_end_do_not_break_the_reader(problems):
    assert "nested too deeply" in problems("[" * 50_000)


def test_no_python_object_is_made(problems, tmp_path):
    made = tmp_path / "made"
    problems(f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{made}']]")
    assert not made.exists()


# --- what comes of it ---------------------------------------------------------------------------------------------


def test_a_workflow_without_secrets_can_be_read_back_from_its_display():
    workflow = Workflow.parse(EVERY_KEY)
    assert Workflow.parse(workflow.redacted()) == workflow


def test_an_error_of_the_workflow_is_not_retryable(make):
    with pytest.raises(WorkflowError) as caught:
        Workflow.parse({**make(), "extra": 1})
    assert caught.value.retryable is False


def test_importing_the_workflow_imports_nothing_heavy():
    heavy = ("dlt", "duckdb", "pyarrow", "git", "airflow", "pendulum")
    code = f"import sys, nilus.workflow; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.strip() == "[]"
