"""From an Airflow connection to dlt's credentials for files, the whole way; and from the operator to the job."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import Connection

from airflow_provider_nilus.connections import resolve_sink
from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks import sink

HOME = Path("/srv/airflow home")


def resolved(address, connection=None, **options):
    found = resolve_sink(address, home=HOME, get_connection=lambda conn_id: connection, **options)
    spec = SinkSpec(
        address=found.address, display_address=found.display_address, dataset="raw", credentials=found.credentials
    )
    return found, sink(spec)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("file://data/lake", "file:///srv/airflow%20home/data/lake"),
        ("file://./data/lake?table_format=delta", "file:///srv/airflow%20home/data/lake"),
        ("file:///data/lake", "file:///data/lake"),
    ],
)
def test_a_relative_folder_is_relative_to_airflow_s_home(address, url):
    found, target = resolved(address)
    assert target.bucket_url == url
    assert (target.table_format == "delta") == ("delta" in address)
    assert found.secrets == ()


def test_an_aws_connection_reaches_dlt_s_credentials_and_its_secret_is_known():
    connection = Connection(
        conn_id="lake",
        conn_type="aws",
        login="AKIA1",
        password="s3/cret",
        extra=json.dumps({"bucket": "company-lake", "region_name": "eu-central-1"}),
    )
    found, target = resolved(
        "dataos://lake/bron%20ze?table_format=delta", connection, region="us-east-1", endpoint="http://127.0.0.1:9000"
    )
    assert target.bucket_url == "s3://company-lake/bron ze"
    assert target.table_format == "delta"
    assert "s3/cret" in found.secrets
    assert "s3/cret" in target.secrets
    credentials = target.destination().config_params["credentials"]
    assert credentials.aws_access_key_id == "AKIA1"
    assert credentials.aws_secret_access_key == "s3/cret"
    assert (credentials.region_name, credentials.endpoint_url) == ("us-east-1", "http://127.0.0.1:9000")


def test_our_own_connection_with_parameters_takes_a_folder_below_it():
    connection = Connection(
        conn_id="lake",
        conn_type="nilus",
        login="AKIA1",
        password="s3cret",
        extra=json.dumps({"address": "s3://company-lake/a?table_format=delta&region=eu-central-1"}),
    )
    _, target = resolved("dataos://lake/b", connection)
    assert target.bucket_url == "s3://company-lake/a/b"
    assert target.table_format == "delta"
    assert target.destination().config_params["credentials"].aws_secret_access_key == "s3cret"


def test_an_azure_connection_reaches_dlt_s_credentials():
    connection = Connection(
        conn_id="lake", conn_type="wasb", login="shop", password="a2V5", extra=json.dumps({"container": "lake"})
    )
    _, target = resolved("dataos://lake/folder", connection)
    assert target.bucket_url == "az://lake/folder"
    credentials = target.destination().config_params["credentials"]
    assert (credentials.azure_storage_account_name, credentials.azure_storage_account_key) == ("shop", "a2V5")


@pytest.mark.parametrize(("given", "at_least_once"), [({}, False), ({"at_least_once": True}, True)])
def test_the_operator_hands_at_least_once_on(given, at_least_once):
    operator = NilusCustomSourceOperator(task_id="load", workflow={}, interval=None, **given)
    assert operator._options({"ti": SimpleNamespace(try_number=1, max_tries=0)}).at_least_once is at_least_once


def test_on_the_command_line_a_relative_folder_is_below_the_working_directory(tmp_path, monkeypatch):
    from nilus.authoring.local_run import _absolute_sink

    monkeypatch.chdir(tmp_path)
    assert _absolute_sink("file://out/lake?table_format=delta") == f"file://{tmp_path}/out/lake?table_format=delta"
    assert _absolute_sink("file:///data/lake") == "file:///data/lake"
