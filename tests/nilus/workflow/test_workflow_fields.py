"""What each key of repo, source and sink takes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pendulum
import pytest

from nilus.protocol.job import SinkSpec, SourceSpec
from nilus.workflow.models import Partition, Repo, Sink, Source, Workflow

# --- repo ---------------------------------------------------------------------------------------------------------


def test_the_reference_may_be_a_key_or_a_flag(make):
    assert Workflow.parse(make(repo={"ref": "v1.2"})).repo.ref == "v1.2"
    assert Workflow.parse(make(repo={"syncFlags": ["--ref=v1.2"]})).repo.ref == "v1.2"


def test_the_reference_given_as_key_and_as_flag_is_an_error(make, problems):
    text = problems(make(repo={"ref": "main", "syncFlags": ["--ref=main"]}))
    assert "repo.syncFlags --ref: the same as repo.ref, given twice" in text


@pytest.mark.parametrize("repo", [{}, {"ref": "HEAD"}, {"syncFlags": ["--ref=HEAD"]}])
def test_no_reference_means_the_head_of_the_remote(make, repo):
    assert Workflow.parse(make(repo=repo)).repo.ref is None


def test_an_empty_reference_is_refused(make, problems):
    assert "repo.ref: is empty" in problems(make(repo={"ref": " "}))


def test_every_setting_of_the_flags_may_be_a_key(make):
    repo = Workflow.parse(
        make(
            repo={
                "depth": "0",
                "submodules": "shallow",
                "filter": "blob:none",
                "sparse_checkout_file": ".sparse",
                "sync-timeout": "2m",
            }
        )
    ).repo
    assert (repo.depth, repo.submodules, repo.filter, repo.sparse_checkout_file, repo.sync_timeout) == (
        0,
        "shallow",
        "blob:none",
        ".sparse",
        120,
    )


@pytest.mark.parametrize("seconds", [90, "90", "90s", "1m30s", 90.0])
def test_the_time_for_fetching_is_seconds_or_a_duration(make, seconds):
    assert Workflow.parse(make(repo={"sync-timeout": seconds})).repo.sync_timeout == 90


@pytest.mark.parametrize("seconds", [0, "0s", -1, "soon", True])
def test_a_time_for_fetching_that_is_none_is_refused(make, problems, seconds):
    assert "repo.sync-timeout: expected" in problems(make(repo={"sync-timeout": seconds}))


@pytest.mark.parametrize(("written", "read"), [("a/b/", "a/b"), ("./a", "a"), ("", "."), (" a ", "a"), (2024, "2024")])
def test_the_base_folder_is_a_path_inside_the_repository(make, written, read):
    assert Workflow.parse(make(repo={"baseDir": written})).repo.base_dir == read


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../b", "a\\b", "a\nb", "a\x00b"])
@pytest.mark.parametrize("key", ["base-dir", "sparse-checkout-file"])
def test_a_path_that_leaves_the_repository_is_refused(make, problems, key, path):
    assert f"repo.{key}: expected a path inside the repository" in problems(make(repo={key: path}))


@pytest.mark.parametrize(
    "url",
    [
        "https://hunter2@git.example.com/a",
        "https://user:hunter2@git.example.com/a",
        "HTTPS://user:hunter2@git.example.com/a",
        "https://user:hunter2/x@git.example.com/a",
        "https://user:hunter2#x@git.example.com/a",
        "ssh://git:hunter2@git.example.com/a",
        "user:hunter2@git.example.com:a",
        "//user:hunter2@git.example.com/a",
        "ftp://hunter2@git.example.com/a",
    ],
)
def test_a_url_with_user_info_is_refused_and_not_repeated(make, problems, url):
    text = problems(make(repo={"url": url}))
    assert "repo.url: holds user info" in text
    assert "git_conn_id" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/a.git",
        "https://git.example.com:8443/team/a@v1",
        "ssh://git@git.example.com:22/team/a",
        "git@git.example.com:team/a.git",
        "file:///srv/git/a",
        "/srv/git/a",
    ],
)
def test_a_url_without_credentials_is_left_alone(make, url):
    assert Workflow.parse(make(repo={"url": url})).repo.url == url


def test_the_name_of_the_credential_is_kept(make):
    assert Workflow.parse(make(repo={"secretId": "team:git-secret"})).repo.secret_id == "team:git-secret"


# --- source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "custom://MyCustomSource?b=2&a=1&a=%41&empty=",
        "  custom://X?url=https://h/p?x=1&y=2#z ",
        "custom://X?\n  token={TOKEN}",
        "custom://X?token=${TOKEN}",
    ],
)
def test_an_address_is_kept_exactly_as_it_was_written(make, address):
    document = make()
    document["source"]["address"] = address
    document["sink"]["address"] = address
    workflow = Workflow.parse(document)
    assert workflow.source.address == address
    assert workflow.sink.address == address


@pytest.mark.parametrize("section", ["source", "sink"])
def test_an_empty_address_is_refused(make, problems, section):
    document = make()
    document[section]["address"] = " \n"
    assert f"{section}.address: is empty" in problems(document)


def test_an_address_of_another_kind_is_refused_without_showing_it(make, problems):
    document = make()
    document["source"]["address"] = {"password": "hunter2"}
    document["sink"]["address"] = ["hunter2"]
    text = problems(document)
    assert "source.address: expected text, found a mapping" in text
    assert "sink.address: expected text, found a list" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("written", ["a,b", " a , b ", ["a", "b"], ("a", " b")])
def test_the_primary_key_is_comma_separated_or_a_list(make, written):
    assert Workflow.parse(make(source={"primary-key": written})).source.primary_key == ["a", "b"]


@pytest.mark.parametrize("written", ["", None, []])
def test_an_empty_primary_key_is_none(make, written):
    assert Workflow.parse(make(source={"primary-key": written})).source.primary_key == []


@pytest.mark.parametrize("written", ["a,,b", "a,a", ["a", None], {"a": 1}, True])
def test_a_primary_key_that_is_no_list_of_columns_is_refused(make, problems, written):
    assert "source.options.primary-key:" in problems(make(source={"primary-key": written}))


@pytest.mark.parametrize(
    "written",
    [
        {"amount": "decimal", "at": "timestamp"},
        ["amount:decimal", "at: timestamp"],
        "amount:decimal,at:timestamp",
        " amount : DECIMAL , at:timestamp",
        [{"amount": "decimal"}, {"at": "timestamp"}],
    ],
)
def test_type_hints_are_a_map_a_list_or_text(make, written):
    assert Workflow.parse(make(source={"type-hints": written})).source.type_hints == {
        "amount": "decimal",
        "at": "timestamp",
    }


@pytest.mark.parametrize(
    "name", ["text", "bigint", "bool", "timestamp", "date", "decimal", "double", "binary", "json", "time"]
)
def test_every_type_of_the_contract_is_a_hint(make, name):
    assert Workflow.parse(make(source={"type-hints": {"c": name}})).source.type_hints == {"c": name}


@pytest.mark.parametrize(
    ("written", "meant"), [("timestmap", "timestamp"), ("string", "text"), ("Integer", "bigint"), ("jsn", "json")]
)
def test_an_unknown_type_is_refused_with_the_nearest(make, problems, written, meant):
    text = problems(make(source={"type-hints": {"c": written}}))
    assert "source.options.type-hints.c: expected one of" in text
    assert f"found '{written}', did you mean {meant}?" in text


@pytest.mark.parametrize("written", ["amount", ["amount"], [":text"], "a:text,a:json", 5])
def test_type_hints_that_are_no_pairs_are_refused(make, problems, written):
    assert "source.options.type-hints:" in problems(make(source={"type-hints": written}))


@pytest.mark.parametrize(
    "rule",
    [
        "hash",
        "sha256",
        "md5",
        "hmac:my-key",
        "redact",
        "email",
        "phone",
        "credit_card",
        "ssn",
        "partial",
        "partial:3",
        "first_letter",
        "stars",
        "fixed:GONE",
        "uuid",
        "sequential",
        "random",
        "round:5000",
        "range:100",
        "noise:0.1",
        "date_shift:30",
        "year_only",
        "month_year",
    ],
)
def test_every_algorithm_of_the_contract_is_a_mask_with_its_parameter_as_text(make, rule):
    assert Workflow.parse(make(source={"mask": {"c": rule}})).source.mask == {"c": rule}


def test_a_parameter_of_a_mask_is_kept_as_it_is(make):
    mask = {"c": "fixed: A:b-C ", "d": "Credit-Card"}
    assert Workflow.parse(make(source={"mask": mask})).source.mask == {"c": "fixed: A:b-C ", "d": "credit_card"}


def test_an_unknown_mask_is_refused_with_the_nearest_and_without_its_parameter(make, problems):
    text = problems(make(source={"mask": {"c": "hmack:hunter2", "d": 5}}))
    assert "source.options.mask.c: unknown algorithm" in text
    assert "did you mean hmac?" in text
    assert "source.options.mask.d: unknown algorithm" in text
    assert "hunter2" not in text


def test_a_mask_that_is_no_mapping_is_refused(make, problems):
    assert "source.options.mask: expected a mapping column: algorithm, found a list" in problems(
        make(source={"mask": ["c:hash"]})
    )


@pytest.mark.parametrize("key", ["page-size", "extract-parallelism", "yield-limit"])
@pytest.mark.parametrize("written", [7, "7"])
def test_a_count_may_be_text(make, key, written):
    assert getattr(Workflow.parse(make(source={key: written})).source, key.replace("-", "_")) == 7


@pytest.mark.parametrize("key", ["page-size", "extract-parallelism", "yield-limit"])
@pytest.mark.parametrize("written", [0, -1, "many", 1.5, True, [1]])
def test_a_count_that_is_none_is_refused(make, problems, key, written):
    assert f"source.options.{key}: expected" in problems(make(source={key: written}))


@pytest.mark.parametrize("written", ["0", 0, "2"])
def test_the_nesting_is_text_or_a_number(make, written):
    assert Workflow.parse(make(source={"max-table-nesting": written})).source.max_table_nesting == int(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-01-31", "2024-01-31T00:00:00+00:00"),
        ("2024-01-31T15:00:00", "2024-01-31T15:00:00+00:00"),
        ("2024-01-31 15:00:00", "2024-01-31T15:00:00+00:00"),
        ("2024-01-31T15:00:00.123456", "2024-01-31T15:00:00.123456+00:00"),
        ("2024-01-31T15:00:00Z", "2024-01-31T15:00:00+00:00"),
        ("2024-01-31T15:00:00+05:30", "2024-01-31T15:00:00+05:30"),
        ("2024-01-31T15:00", "2024-01-31T15:00:00+00:00"),
        ("20240131T150000Z", "2024-01-31T15:00:00+00:00"),
        (dt.date(2024, 1, 31), "2024-01-31T00:00:00+00:00"),
        (dt.datetime(2024, 1, 31, 15), "2024-01-31T15:00:00+00:00"),
        (pendulum.datetime(2024, 1, 31, tz="Europe/Paris"), "2024-01-31T00:00:00+01:00"),
        (str(pendulum.datetime(2024, 1, 31)), "2024-01-31T00:00:00+00:00"),
        ("", None),
    ],
)
def test_an_interval_end_is_iso_8601_with_an_offset(make, written, read):
    assert Workflow.parse(make(source={"interval-start": written})).source.interval_start == read


@pytest.mark.parametrize(
    "written", ["31.01.2024", "2024-13-01", "yesterday", "2024-01", "{{ ds }}", ["2024-01-01"], True]
)
def test_an_interval_end_that_is_no_time_is_refused(make, problems, written):
    assert "source.options.interval-end: expected a date" in problems(make(source={"interval-end": written}))


def test_an_interval_that_ends_before_its_start_is_refused(make, problems):
    interval = {"interval-start": "2024-01-01T00:00:00-05:00", "interval_end": "2024-01-01T04:59:00Z"}
    assert "source.options.interval_end: expected an end that is not before the start" in problems(
        make(source=interval)
    )


def test_an_interval_without_width_is_left_to_the_run(make):
    source = Workflow.parse(
        make(source={"interval-start": "2024-01-01", "interval-end": "2024-01-01T00:00:00Z"})
    ).source
    assert source.interval_start == source.interval_end


# --- sink ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "dataset", "table"),
    [("raw", "raw", None), ("raw.orders", "raw", "orders"), (" raw . orders ", "raw", "orders"), (2024, "2024", None)],
)
def test_the_destination_is_a_schema_or_a_schema_and_a_table(make, written, dataset, table):
    sink = Workflow.parse(make(sink={"dest-table": written})).sink
    assert (sink.dataset, sink.table) == (dataset, table)


@pytest.mark.parametrize("written", ["a.b.c", ".orders", "raw.", "", ".", True])
def test_a_destination_of_another_shape_is_refused(make, problems, written):
    assert "sink.options.dest-table:" in problems(make(sink={"dest-table": written}))


@pytest.mark.parametrize("strategy", ["replace", "append", "merge", "delete+insert", "scd2", "none"])
def test_every_strategy_of_the_contract_is_taken(make, strategy):
    assert Workflow.parse(make(sink={"incremental-strategy": strategy})).sink.strategy == strategy


def test_none_is_a_strategy_in_yaml_too():
    text = """
    repo: {url: https://git.example.com/a}
    source: {address: custom://A, options: {source-table: t}}
    sink: {address: duckdb:///a, options: {dest-table: raw, incremental-strategy: none}}
    """
    assert Workflow.parse(text).sink.strategy == "none"


def test_an_unknown_strategy_is_refused_with_the_nearest(make, problems):
    text = problems(make(sink={"incremental-strategy": "apend"}))
    assert "sink.options.incremental-strategy: expected one of replace, append," in text
    assert "did you mean append?" in text


def test_a_merge_without_a_key_is_left_to_the_resources(make):
    assert Workflow.parse(make(sink={"incremental-strategy": "merge"})).sink.strategy == "merge"


def test_an_unknown_file_format_is_refused(make, problems):
    assert "sink.options.loader-file-format: expected one of parquet, jsonl, csv, insert_values" in problems(
        make(sink={"loader-file-format": "avro"})
    )


@pytest.mark.parametrize("written", ["insert_values", "insert-values"])
def test_a_file_format_may_be_spelled_both_ways(make, written):
    assert Workflow.parse(make(sink={"loader_file_format": written})).sink.loader_file_format == "insert_values"


@pytest.mark.parametrize("kind", ["year", "month", "day", "hour", "identity"])
def test_a_partition_has_a_column_and_a_type(make, kind):
    sink = Workflow.parse(make(sink={"partition-by": [{"column": "at", "type": kind, "name": "n", "index": "2"}]})).sink
    assert sink.partition_by == [Partition(column="at", type=kind, name="n", index=2)]


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"type": "day"}, "[0].column: missing"),
        ({"column": "c"}, "[0].type: missing"),
        ({"column": "c", "type": "weekly"}, "[0].type: expected one of year,"),
        ({"column": "c", "type": "bucket"}, "[0].bucket-count: missing, a partition of type bucket needs it"),
        ({"column": "c", "type": "bucket", "bucket_count": 0}, "[0].bucket_count: expected at least 1"),
        ({"column": "c", "type": "day", "bucket-count": 3}, "[0].bucket-count: only a partition of type bucket has it"),
        ("at", "[0]: expected a mapping, found 'at'"),
    ],
)
def test_a_partition_that_is_incomplete_is_refused_with_its_path(make, problems, entry, line):
    assert f"sink.options.partition-by{line}" in problems(make(sink={"partition-by": [entry]}))


def test_partitions_that_are_no_list_are_refused(make, problems):
    assert "sink.options.partition-by: expected a list, found 'at'" in problems(make(sink={"partition-by": "at"}))


@pytest.mark.parametrize("bucket", ["gs://b", "s3://b/p", "az://c"])
def test_the_staging_bucket_is_an_object_store(make, bucket):
    assert Workflow.parse(make(sink={"staging-bucket": bucket})).sink.staging_bucket == bucket


def test_another_staging_bucket_is_refused_without_its_password(make, problems):
    text = problems(make(sink={"staging-bucket": "https://u:hunter2@h/b"}))
    assert "sink.options.staging-bucket: expected an address that begins with gs://, s3:// or az://" in text
    assert "hunter2" not in text


def test_a_value_in_a_message_hides_its_password(make, problems):
    text = problems(make(sink={"dest-table": "postgresql://u:hunter2@h.example.com/db"}))
    assert "sink.options.dest-table: expected schema or schema.table, found" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("primary-key", "id,tenant", ["id", "tenant"]),
        ("incremental_key", "at", "at"),
        ("interval-start", "2024-01-01", "2024-01-01T00:00:00+00:00"),
        ("interval_end", "2024-01-01", "2024-01-01T00:00:00+00:00"),
    ],
)
def test_a_key_of_the_source_may_be_on_the_sink(make, key, value, read):
    assert getattr(Workflow.parse(make(sink={key: value})).source, key.replace("-", "_")) == read


def test_a_problem_of_a_key_on_the_sink_is_reported_where_it_was_written(make, problems):
    assert "sink.options.interval_start: expected a date" in problems(make(sink={"interval_start": "soon"}))


@pytest.mark.parametrize("key", ["primary-key", "incremental-key", "interval-start", "interval-end"])
def test_a_key_on_source_and_sink_is_an_error(make, problems, key):
    text = problems(make(source={key: "2024-01-01"}, sink={key.replace("-", "_"): "2024-01-01"}))
    assert f"sink.options.{key.replace('-', '_')}: the same as source.options.{key}, given twice" in text


@pytest.mark.parametrize("where", ["source", "sink"])
@pytest.mark.parametrize("end", ["interval-start", "interval-end"])
def test_a_full_refresh_with_an_interval_is_an_error(make, problems, where, end):
    options = {"source": {}, "sink": {"full_refresh": "true"}}
    options[where][end] = "2024-01-01"
    assert "sink.options.full_refresh: drops the tables" in problems(make(**options))


def test_a_full_refresh_without_an_interval_is_taken(make):
    assert Workflow.parse(make(sink={"full-refresh": True})).sink.full_refresh is True


def test_a_full_refresh_with_an_interval_is_refused_however_the_workflow_is_made():
    repo = Repo(url="https://git.example.com/a")
    source = Source(address="custom://A", table="t", interval_start="2024-01-01")
    sink = Sink(address="duckdb:///a", dest_table="raw", full_refresh=True)
    with pytest.raises(ValueError, match="drops the tables"):
        Workflow(repo=repo, source=source, sink=sink)


# --- the job ------------------------------------------------------------------------------------------------------


def names(spec: type) -> set[str]:
    return {field.name for field in dataclasses.fields(spec)}


def test_the_source_makes_a_source_spec_of_plain_json(make):
    source = Workflow.parse(
        make(
            source={
                "primary-key": "id",
                "interval-start": "2024-01-01",
                "mask": {"c": "hash"},
                "sql-limit": 1,
                "x-y": 2,
            }
        )
    ).source
    fields = source.spec_fields()
    assert set(fields) == names(SourceSpec)
    assert json.loads(json.dumps(fields)) == fields
    spec = SourceSpec(**fields)
    assert spec.table == "orders"
    assert spec.options == {"x_y": 2}
    assert spec.sql == {"sql_limit": 1}


def test_the_sink_makes_a_sink_spec_but_for_what_its_resolution_adds(make):
    partition = {"column": "c", "type": "bucket", "bucket-count": 4}
    sink = Workflow.parse(make(sink={"dest-table": "raw.t", "partition-by": [partition], "aws-region": "eu"})).sink
    fields = sink.spec_fields()
    assert set(fields) == names(SinkSpec) - {"display_address", "credentials"}
    assert json.loads(json.dumps(fields)) == fields
    spec = SinkSpec(**fields, display_address="x")
    assert (spec.dataset, spec.table) == ("raw", "t")
    assert spec.partition_by == [{"column": "c", "type": "bucket", "bucket_count": 4}]
    assert sink.aws_region == "eu"


def test_the_defaults_of_the_models_are_those_of_the_job(make):
    workflow = Workflow.parse(make())
    assert SourceSpec(**workflow.source.spec_fields()) == SourceSpec(address="custom://Orders", table="orders")
    assert SinkSpec(**workflow.sink.spec_fields(), display_address="x") == SinkSpec(
        address="duckdb:///out.duckdb", dataset="raw", display_address="x"
    )


def test_what_the_job_gets_is_its_own_copy(make):
    source = Workflow.parse(make(source={"primary-key": "id", "x": [1]})).source
    source.spec_fields()["options"]["x"].append(2)
    source.spec_fields()["primary_key"].append("other")
    assert source.options == {"x": [1]}
    assert source.primary_key == ["id"]
