"""What an address of files becomes: dlt's own configuration, resolved by dlt's own classes, and what is refused."""

from __future__ import annotations

import base64
import json

import pytest
from job_fixture import job_with

from nilus.errors import DestinationError
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.engine.context import config_values, isolation
from nilus.runtime.sinks import sink
from nilus.runtime.sinks.files.sink import FilesystemSink

GOOGLE = {
    "type": "service_account",
    "project_id": "shop",
    "private_key_id": "1",
    "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "client_email": "loader@shop.iam.gserviceaccount.com",
    "client_id": "2",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "universe_domain": "googleapis.com",
}


def files(address, **options):
    return sink(SinkSpec(address=address, display_address="shown://***", dataset="raw", **options))


@pytest.fixture(autouse=True)
def alone(tmp_path):
    """dlt's configuration as a run has it."""
    run = Run(
        state_key="k", dag_id="d", task_id="t", map_index=-1, run_id="r", run_type="manual", try_number=1,
        repository="https://example.org/r", commit="c" * 40,
    )  # fmt: skip
    job = job_with(
        run=run, source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="", display_address="", dataset="raw"), checkout="/", base_dir="/",
        work_dir=str(tmp_path),
    )  # fmt: skip
    with isolation(str(tmp_path), config_values(job, {})):
        yield


def configuration(target):
    destination = target.destination()
    return destination.configuration(destination.spec()._bind_dataset_name("raw"))


@pytest.mark.parametrize("scheme", ["file", "s3", "gs", "gcs", "az", "abfs", "abfss", "S3"])
def test_the_scheme_names_the_sink(scheme):
    assert type(files(f"{scheme}:///place/folder")) is FilesystemSink


def test_an_s3_address_with_a_connection_s_credentials():
    given = {
        "aws_access_key_id": "AKIA1",
        "aws_secret_access_key": "s3cret",
        "region_name": "eu-central-1",
        "endpoint_url": "http://127.0.0.1:9000",
    }
    config = configuration(files("s3://bucket/a/b%20c/", credentials=given))
    assert config.bucket_url == "s3://bucket/a/b c"
    assert {name: config.credentials[name] for name in given} == given
    assert config.credentials.to_s3fs_credentials()["endpoint_url"] == "http://127.0.0.1:9000"


def test_parameters_of_the_address_win_over_the_connection_s():
    given = {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "s3cret", "region_name": "eu-central-1"}
    target = files(
        "s3://bucket?access_key_id=AKIA2&secret_access_key=an%2Fother&region=us-east-1&table_format=delta",
        credentials=given,
    )
    config = configuration(target)
    assert config.bucket_url == "s3://bucket"
    assert config.credentials.aws_access_key_id == "AKIA2"
    assert config.credentials.aws_secret_access_key == "an/other"
    assert config.credentials.region_name == "us-east-1"
    assert set(target.secrets) == {"an/other", "an%2Fother", "s3cret"}
    assert target.table_format == "delta"


def test_without_credentials_those_of_the_machine_are_used(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the machine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    credentials = configuration(files("s3://bucket")).credentials
    assert credentials.has_default_credentials()
    assert credentials.to_session_credentials()["aws_secret_access_key"] == "of the machine"
    assert credentials.region_name == "eu-west-1"
    assert "secret" not in credentials.to_s3fs_credentials(), "left to the driver, which refreshes them"
    elsewhere = configuration(files("s3://bucket?region=us-east-2")).credentials
    assert (elsewhere.region_name, elsewhere.has_default_credentials()) == ("us-east-2", True)


def test_a_delta_table_in_s3_without_a_region_is_refused_before_anything_is_read(monkeypatch):
    keys = {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "s3cret"}
    with pytest.raises(DestinationError, match="need the region"):
        files("s3://bucket?table_format=delta", credentials=keys).destination()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = configuration(files("s3://bucket?table_format=delta", credentials=keys))
    assert config.credentials.to_object_store_rs_credentials()["region"] == "eu-west-1"


def test_half_of_a_key_is_refused_instead_of_taking_the_machine_s(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the machine")
    with pytest.raises(DestinationError, match="not complete") as caught:
        files("s3://bucket?access_key_id=AKIA1").destination()
    assert caught.value.found == "no aws_secret_access_key"


def test_a_google_address_with_a_service_account_by_every_way(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(GOOGLE))
    encoded = base64.urlsafe_b64encode(json.dumps(GOOGLE).encode()).decode()
    encoded = base64.b64encode(json.dumps(GOOGLE).encode()).decode().replace("+", "%2B").replace("/", "%2F")
    for target in (
        files("gs://bucket/folder", credentials=GOOGLE),
        files(f"gs://bucket/folder?credentials_path={path}"),
        files(f"gs://bucket/folder?credentials_base64={encoded}"),
    ):
        config = configuration(target)
        assert config.bucket_url == "gs://bucket/folder"
        assert config.credentials.client_email == GOOGLE["client_email"]
        assert config.credentials.private_key == GOOGLE["private_key"]
        assert config.credentials.to_gcs_credentials()["project"] == "shop"


def test_a_google_address_with_a_refresh_token():
    given = {"project_id": "shop", "client_id": "1", "client_secret": "2", "refresh_token": "3"}
    credentials = configuration(files("gs://bucket", credentials=given)).credentials
    assert type(credentials).__name__ == "GcpOAuthCredentials"
    assert credentials.refresh_token == "3"


def test_an_azure_address_with_an_account_s_key():
    target = files("az://container/folder?account_name=shop&account_key=a2V5")
    config = configuration(target)
    assert config.credentials.to_adlfs_credentials()["account_name"] == "shop"
    assert config.credentials.to_adlfs_credentials()["account_key"] == "a2V5"
    assert target.secrets == ("a2V5",)


def test_an_azure_address_with_a_service_principal():
    given = {
        "azure_storage_account_name": "shop",
        "azure_tenant_id": "t",
        "azure_client_id": "c",
        "azure_client_secret": "s",
    }
    credentials = configuration(files("abfss://container@shop.dfs.core.windows.net/x", credentials=given)).credentials
    assert credentials.to_adlfs_credentials() == {
        "account_name": "shop",
        "account_host": None,
        "tenant_id": "t",
        "client_id": "c",
        "client_secret": "s",
    }


@pytest.mark.parametrize(("address", "path"), [("file:///data/lake", "/data/lake"), ("file:///a%20b/ü", "/a b/ü")])
def test_a_local_address_is_a_folder(address, path):
    config = configuration(files(address))
    assert config.is_local_filesystem
    assert config.make_local_path(config.bucket_url) == path


@pytest.mark.parametrize(
    ("address", "expected"), [("file://", "file:///"), ("file://data/lake", "file:///"), ("s3://", "s3://bucket")]
)
def test_an_address_without_a_folder_is_refused(address, expected):
    with pytest.raises(DestinationError, match="names no folder") as caught:
        _ = files(address).bucket_url
    assert caught.value.expected.startswith(expected)


def test_an_unknown_parameter_is_refused_with_those_that_are_known():
    with pytest.raises(DestinationError, match="'acess_key_id'") as caught:
        files("s3://bucket?acess_key_id=1&secret_access_key=hidden").destination()
    assert "access_key_id" in caught.value.expected
    assert "hidden" not in str(caught.value)


def test_an_unknown_table_format_is_refused():
    with pytest.raises(DestinationError, match="'iceberg'") as caught:
        files("s3://bucket?table_format=iceberg").destination()
    assert "dataos://" in caught.value.remedy


def test_a_key_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DestinationError, match="service account"):
        files(f"gs://bucket?credentials_path={tmp_path}/nothing.json").destination()


@pytest.mark.parametrize(
    ("address", "driver", "extra"),
    [
        ("s3://b", "s3fs", "s3"),
        ("gs://b", "gcsfs", "gs"),
        ("az://b?account_name=a", "adlfs", "az"),
        ("file:///x?table_format=delta", "deltalake", "delta"),
    ],
)
def test_a_missing_driver_names_the_extra_to_install(address, driver, extra, monkeypatch):
    from nilus.runtime.sinks.files import sink as filesystem

    found = filesystem.find_spec
    monkeypatch.setattr(filesystem, "find_spec", lambda name: None if name == driver else found(name))
    with pytest.raises(DestinationError, match="not installed") as caught:
        files(address).destination()
    assert f"airflow-provider-nilus[{extra}]" in caught.value.remedy


@pytest.mark.parametrize(
    ("query", "wanted", "known"),
    [("", "insert_values", "parquet, jsonl, csv"), ("?table_format=delta", "csv", "parquet")],
)
def test_a_format_that_files_do_not_have_is_refused(query, wanted, known):
    target = files(f"file:///x{query}", loader_file_format=wanted)
    with pytest.raises(DestinationError, match=wanted) as caught:
        target.file_format(target.destination())
    assert caught.value.expected == f"loader-file-format {known}"
