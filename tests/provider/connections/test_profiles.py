"""Each connection type becomes an address and credentials that dlt takes."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

import pytest
from airflow.sdk import Connection
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_nilus.connections import resolve_sink
from airflow_provider_nilus.connections.profile import Fields
from airflow_provider_nilus.connections.table import PROFILES
from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.engine.context import isolation
from nilus.runtime.sinks import sink as make_sink
from nilus.runtime.sinks.connecting import CONFIGURATION, job_client
from nilus.values.redaction import secret_values

HOME = Path("/srv/airflow")


@pytest.fixture(scope="module")
def pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def keyfile(pem):
    return {
        "type": "service_account",
        "project_id": "of-the-key",
        "private_key": pem,
        "private_key_id": "1",
        "client_email": "loader@of-the-key.iam.gserviceaccount.com",
    }


def connection(conn_type, *, extra=None, **fields):
    text = extra if isinstance(extra, str) else json.dumps(extra) if extra is not None else None
    return Connection(conn_id="c", conn_type=conn_type, extra=text, **fields)


def resolve(found, address="dataos://c", **options):
    return resolve_sink(address, home=HOME, get_connection=lambda conn_id: found, **options)


def client_of(resolved, tmp_path):
    """What dlt makes of it, every credential resolved."""
    spec = SinkSpec(
        address=resolved.address,
        display_address=resolved.display_address,
        dataset="raw",
        credentials=resolved.credentials,
    )
    with isolation(str(tmp_path), CONFIGURATION):
        return job_client(make_sink(spec))


def test_mysql_keeps_its_character_set_and_its_tls_files(tmp_path):
    found = connection(
        "mysql", host="db", login="us@er", password="p/w", schema="sales", port=3307,
        extra={"charset": "utf8mb4", "ssl": {"ca": "/ca.pem", "key": "/key.pem"}},
    )  # fmt: skip
    sink = resolve(found)
    assert sink.address == "mysql://us%40er:p%2Fw@db:3307/sales?charset=utf8mb4&ssl_ca=%2Fca.pem&ssl_key=%2Fkey.pem"
    engine = client_of(sink, tmp_path).config.credentials.to_url()
    assert (engine.username, engine.password, engine.host, engine.port) == ("us@er", "p/w", "db", 3307)
    assert engine.query["ssl_ca"] == "/ca.pem"
    assert {"p/w", "p%2Fw"} <= set(sink.secrets)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("/data/my lake.db", "sqlite:////data/my%20lake.db"),
        ("data/lake.db", "sqlite:////srv/airflow/data/lake.db"),
        ("sqlite:////data/lake.db", "sqlite:////data/lake.db"),
    ],
)
def test_sqlite_is_the_file_in_the_host(host, address):
    assert resolve(connection("sqlite", host=host)).address == address


def test_a_duckdb_connection_may_be_a_database_of_motherduck(tmp_path):
    sink = resolve(connection("duckdb", host="md:lake", password="t0ken-of-md"))
    assert sink.address == "motherduck://lake"
    assert "t0ken-of-md" in sink.secrets
    assert client_of(sink, tmp_path).config.credentials.password == "t0ken-of-md"


def test_snowflake_logs_in_with_a_password(tmp_path):
    found = connection(
        "snowflake", login="u", password="p@ss",
        extra={"account": "acc", "region": "eu-west-1", "database": "sales", "warehouse": "wh", "role": "loader"},
    )  # fmt: skip
    sink = resolve(found)
    params = client_of(sink, tmp_path).config.credentials.to_connector_params()
    expected = {
        "user": "u", "password": "p@ss", "account": "acc.eu-west-1", "database": "sales", "warehouse": "wh",
        "role": "loader",
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected
    assert "p@ss" not in sink.display_address
    assert "p@ss" in sink.secrets


@pytest.mark.parametrize("form", ["pem", "base64", "file"])
def test_snowflake_logs_in_with_a_private_key(tmp_path, pem, form):
    file = tmp_path / "key.pem"
    file.write_text(pem)
    key = {
        "pem": {"private_key_content": pem},
        "base64": {"private_key_content": base64.b64encode(pem.encode()).decode()},
        "file": {"private_key_file": str(file)},
    }[form]
    sink = resolve(connection("snowflake", login="u", extra={"account": "acc", "database": "sales", **key}))
    params = client_of(sink, tmp_path).config.credentials.to_connector_params()
    assert isinstance(params["private_key"], bytes)
    assert (pem in sink.secrets) == (form != "file")


def test_snowflake_finds_the_older_spelling_of_its_extras():
    extra = {"extra__snowflake__account": "acc", "extra__snowflake__database": "sales"}
    assert resolve(connection("snowflake", login="u", password="p", extra=extra)).address == "snowflake://acc/sales"


@pytest.mark.parametrize("form", ["mapping", "text", "path"])
def test_google_cloud_is_bigquery_with_the_key_of_a_service_account(tmp_path, keyfile, form):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(keyfile))
    key = {
        "mapping": {"keyfile_dict": keyfile},
        "text": {"keyfile_dict": json.dumps(keyfile)},
        "path": {"key_path": str(file)},
    }[form]
    sink = resolve(connection("google_cloud_platform", extra={"location": "EU", **key}))
    assert sink.address == "bigquery://of-the-key?location=EU"
    assert keyfile["private_key"] in sink.secrets
    config = client_of(sink, tmp_path).config
    assert config.credentials.client_email == keyfile["client_email"]
    assert config.location == "EU"


def test_a_project_of_the_connection_wins_over_that_of_the_key(keyfile):
    extra = {"project": "billed", "keyfile_dict": keyfile}
    assert resolve(connection("gcpbigquery", extra=extra)).address == "bigquery://billed"


@pytest.mark.parametrize(
    ("conn_type", "address", "extra"),
    [
        ("google_cloud_platform", "dataos://c/lake/raw", {}),
        ("google_cloud_platform", "dataos://c/raw", {"bucket": "lake"}),
        ("google_cloud_storage", "dataos://c/raw/", {"bucket": "lake"}),
    ],
)
def test_google_cloud_is_a_bucket_where_one_is_named(keyfile, tmp_path, conn_type, address, extra):
    sink = resolve(connection(conn_type, extra={**extra, "keyfile_dict": keyfile}), address)
    assert sink.address == "gs://lake/raw"
    assert sink.credentials["client_email"] == keyfile["client_email"]


def test_redshift_is_a_server_on_its_own_port():
    found = connection("redshift", host="h", login="u", password="p", schema="dev", extra={"sslmode": "require"})
    assert resolve(found).address == "redshift://u:p@h:5439/dev?sslmode=require"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"password": "dapi-token"}, {"access_token": "dapi-token"}),
        ({"login": "token", "password": "dapi-token"}, {"access_token": "dapi-token"}),
        ({"token": "dapi-token"}, {"access_token": "dapi-token"}),
        ({"login": "id-1", "password": "secret-1"}, {"client_id": "id-1", "client_secret": "secret-1"}),
    ],
)
def test_databricks_logs_in_with_a_token_or_a_service_principal(tmp_path, fields, expected):
    extra = {"http_path": "/sql/1.0/w", "catalog": "main"} | (
        {"token": fields.pop("token")} if "token" in fields else {}
    )
    sink = resolve(connection("databricks", host="https://dbc.example.com/", extra=extra, **fields))
    assert sink.address.startswith("databricks://dbc.example.com?")
    assert sink.credentials == expected
    assert set(expected.values()) & set(sink.secrets)
    assert client_of(sink, tmp_path).config.credentials.catalog == "main"


def test_sql_server_keeps_its_driver():
    found = connection(
        "mssql", host="h", login="u", password="p", schema="d",
        extra={"Driver": "ODBC Driver 18 for SQL Server", "Encrypt": "yes", "TrustServerCertificate": "yes"},
    )  # fmt: skip
    assert resolve(found).address == (
        "mssql://u:p@h:1433/d?driver=ODBC%20Driver%2018%20for%20SQL%20Server&encrypt=yes&trustservercertificate=yes"
    )


def test_clickhouse_keeps_its_ports(tmp_path):
    found = connection(
        "clickhouse", host="h", login="u", password="p", port=9000, extra={"http_port": 8123, "secure": 0}
    )
    credentials = client_of(resolve(found), tmp_path).config.credentials
    assert (credentials.port, credentials.http_port, credentials.secure) == (9000, 8123, 0)


def test_athena_takes_its_bucket_and_its_work_group(tmp_path):
    extra = {"s3_staging_dir": "s3://b/r/", "work_group": "etl", "region_name": "x-1"}
    found = connection("athena", login="AK", password="SK-secret", extra=extra)
    params = client_of(resolve(found), tmp_path).config.to_connector_params()
    assert (params["s3_staging_dir"], params["work_group"], params["region_name"]) == ("s3://b/r/", "etl", "x-1")
    assert params["aws_secret_access_key"] == "SK-secret"


@pytest.mark.parametrize(
    ("address", "extra", "expected"),
    [
        ("dataos://c/lake/raw", {}, "s3://lake/raw"),
        ("dataos://c", {"bucket": "lake"}, "s3://lake"),
        ("dataos://c/raw", {"bucket_name": "lake"}, "s3://lake/raw"),
        ("dataos://c/raw?purpose=rw", {"service_config": {"s3": {"bucket_name": "lake"}}}, "s3://lake/raw"),
        ("dataos://c/a%20b", {"bucket": "lake"}, "s3://lake/a%20b"),
    ],
)
def test_aws_is_a_bucket_of_the_workflow_or_of_the_connection(address, extra, expected):
    assert resolve(connection("aws", login="AK", password="SK-secret", extra=extra), address).address == expected


def test_aws_brings_keys_region_and_endpoint_and_the_workflow_s_win():
    extra = {"bucket": "lake", "region_name": "eu-1", "endpoint_url": "http://minio:9000", "aws_session_token": "ST-1"}
    found = connection("aws", login="AK", password="SK-secret", extra=extra)
    assert resolve(found).credentials == {
        "aws_access_key_id": "AK",
        "aws_secret_access_key": "SK-secret",
        "aws_session_token": "ST-1",
        "region_name": "eu-1",
        "endpoint_url": "http://minio:9000",
    }
    assert {"SK-secret", "ST-1"} <= set(resolve(found).secrets)
    assert "AK" not in resolve(found).secrets
    chosen = resolve(found, region="us-2", endpoint="http://other:9000").credentials
    assert (chosen["region_name"], chosen["endpoint_url"]) == ("us-2", "http://other:9000")


def test_region_and_endpoint_of_the_workflow_mean_nothing_elsewhere(caplog):
    sink = resolve(connection("duckdb", host="/data/lake.duckdb"), region="eu-1")
    assert sink.credentials == {}
    assert "no effect" in caplog.text


@pytest.mark.parametrize("conn_type", ["wasb", "adls"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"login": "acct", "password": "key=="},
            {"azure_storage_account_name": "acct", "azure_storage_account_key": "key=="},
        ),
        (
            {"host": "https://acct.blob.core.windows.net", "login": "id", "password": "pw-1", "tenant_id": "t"},
            {
                "azure_storage_account_name": "acct", "azure_tenant_id": "t", "azure_client_id": "id",
                "azure_client_secret": "pw-1",
            },
        ),
        (
            {"login": "acct", "sas_token": "?sv=1&sig=x"},
            {"azure_storage_account_name": "acct", "azure_storage_sas_token": "sv=1&sig=x"},
        ),
        (
            {"connection_string": "AccountName=acct;AccountKey=k==;BlobEndpoint=http://127.0.0.1:10000/acct"},
            {
                "azure_storage_account_name": "acct", "azure_storage_account_key": "k==",
                "azure_account_host": "127.0.0.1:10000",
            },
        ),
    ],
    ids=["key", "principal", "sas", "connection-string"],
)  # fmt: skip
def test_azure_logs_in_with_a_key_a_token_a_principal_or_a_connection_string(conn_type, fields, expected):
    own = {name: value for name, value in fields.items() if name in ("host", "login", "password")}
    extra = {name: value for name, value in fields.items() if name not in own} | {"container": "lake"}
    sink = resolve(connection(conn_type, extra=extra, **own), "dataos://c/raw")
    assert sink.address == "az://lake/raw"
    assert sink.credentials == expected


@pytest.mark.parametrize("name", ["secret_credentials", "credentials"])
def test_our_own_type_takes_credentials_and_fills_in_keys(name):
    extra = {"address": "s3://lake", name: json.dumps({"endpoint_url": "http://minio:9000"})}
    sink = resolve(connection("nilus", login="AK", password="SK-secret", extra=extra), "dataos://c/raw")
    assert sink.address == "s3://lake/raw"
    assert sink.credentials == {
        "aws_access_key_id": "AK", "aws_secret_access_key": "SK-secret", "endpoint_url": "http://minio:9000",
    }  # fmt: skip
    assert "SK-secret" in sink.secrets


def test_credentials_of_a_staging_bucket_are_kept_apart():
    extra = {"account": "a", "database": "d", "staging_credentials": {"aws_secret_access_key": "SK-stage"}}
    sink = resolve(connection("snowflake", login="u", password="p", extra=extra))
    assert sink.credentials["staging"] == {"aws_secret_access_key": "SK-stage"}
    assert "SK-stage" in sink.secrets


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (connection("mysql", login="u"), "host"),
        (connection("sqlite"), "host"),
        (connection("duckdb"), "host"),
        (connection("mssql", host="h", login="u"), "password, schema"),
        (connection("redshift", host="h"), "login, password, schema"),
        (connection("snowflake", login="u", password="p"), "the extra account, the extra database or schema"),
        (connection("snowflake", login="u", extra={"account": "a", "database": "d"}), "private_key_content"),
        (connection("google_cloud_platform"), "the extra project or the extra keyfile_dict"),
        (connection("databricks", host="h"), "the extra http_path, the extra catalog"),
        (connection("databricks", host="h", extra={"http_path": "/", "catalog": "c"}), "password or the extra token"),
        (connection("athena"), "the extra s3_staging_dir"),
        (connection("clickhouse", host="h"), "login"),
        (connection("wasb", extra={"container": "c"}), "login or host"),
        (connection("adls", extra={"container": "c", "tenant_id": "t", "account_name": "a"}), "login, password"),
    ],
    ids=lambda value: value.conn_type if isinstance(value, Connection) else value[:20],
)
def test_a_connection_that_lacks_a_field_names_it(found, missing):
    with pytest.raises(DestinationError, match="is not complete") as caught:
        resolve(found)
    assert missing in caught.value.found


@pytest.mark.parametrize("conn_type", ["aws", "wasb", "google_cloud_storage"])
def test_a_store_without_a_bucket_is_refused(conn_type):
    with pytest.raises(DestinationError, match="names no bucket"):
        resolve(connection(conn_type, login="AK", password="SK"))


@pytest.mark.parametrize(
    ("conn_type", "fields", "extra"),
    [
        ("aws", {}, {"role_arn": "arn:aws:iam::1:role/x", "bucket": "b"}),
        ("redshift", {"host": "h", "login": "u", "password": "p", "schema": "s"}, {"iam": True}),
        ("google_cloud_platform", {}, {"project": "p", "impersonation_chain": "other@x"}),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_the_reason(conn_type, fields, extra):
    with pytest.raises(DestinationError, match="cannot be used") as caught:
        resolve(connection(conn_type, extra=extra, **fields))
    assert "without it" in caught.value.expected


@pytest.mark.parametrize("address", ["dataos://c?acl=r", "dataos://c?purpose=R"])
def test_a_depot_that_is_only_to_be_read_is_refused(address):
    with pytest.raises(DestinationError, match="reading only"):
        resolve(connection("duckdb", host="/data/lake.duckdb"), address)


@pytest.mark.parametrize("parameter", ["purpose=rw", "acl=rw", "acl=RW"])
def test_a_depot_that_is_written_to_says_nothing_new_and_the_log_says_so(parameter, caplog):
    caplog.set_level(logging.INFO)
    sink = resolve(connection("duckdb", host="/data/lake.duckdb"), f"dataos://c?{parameter}")
    assert sink.address == "duckdb:////data/lake.duckdb"
    assert "is ignored" in caplog.text


def test_a_parameter_of_a_depot_that_is_not_known_is_refused():
    with pytest.raises(DestinationError, match="not known"):
        resolve(connection("duckdb", host="/data/lake.duckdb"), "dataos://c?region=eu")


@pytest.mark.parametrize(
    "found",
    [
        connection("postgres", host="h", login="u", password="p", schema="d"),
        connection("nilus", extra={"address": "duckdb:////data/lake.duckdb"}),
    ],
    ids=lambda found: found.conn_type,
)
def test_nothing_may_follow_the_id_of_a_database_s_connection(found):
    with pytest.raises(DestinationError, match="Nothing may follow"):
        resolve(found, "dataos://c/raw")


def test_an_extra_that_is_no_json_is_told_without_its_text():
    with pytest.raises(DestinationError, match="cannot be read") as caught:
        Fields(connection("aws", extra="secret=x"))
    assert "secret" not in str(caught.value)


def test_a_mapping_that_is_none_is_told_without_its_value():
    with pytest.raises(DestinationError, match="keyfile_dict cannot be used") as caught:
        resolve(connection("google_cloud_platform", extra={"keyfile_dict": "secret"}))
    assert "secret" not in str(caught.value)


def test_every_row_of_the_table_has_a_test_here_or_beside():
    tested = {
        "postgres", "mysql", "sqlite", "duckdb", "snowflake", "google_cloud_platform", "gcpbigquery",
        "google_cloud_storage", "redshift", "databricks", "mssql", "clickhouse", "athena", "aws", "wasb", "adls",
        "generic", "nilus", "nilus_lakehouse",
    }  # fmt: skip
    assert set(PROFILES) == tested


def test_secrets_are_told_from_names_of_files_and_ids():
    values = {
        "aws_access_key_id": "AK", "aws_secret_access_key": "SK", "private_key_path": "/key.pem", "host": "h",
        "staging": {"private_key": "PEM", "azure_sas_token_permissions": "racwdl"}, "password": "", "token": None,
    }  # fmt: skip
    assert secret_values(values) == ("SK", "PEM")
