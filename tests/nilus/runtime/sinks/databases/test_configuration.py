"""Warehouses without a server: an address becomes dlt's own configuration, whose credentials and clients are built."""

from __future__ import annotations

import base64
import json
import sys
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from nilus.errors import DestinationError, WorkflowError
from nilus.protocol.job import SinkSpec
from nilus.runtime import support
from nilus.runtime.engine.context import isolation
from nilus.runtime.recovery.no_journal import NoRows
from nilus.runtime.sinks import sink
from nilus.runtime.sinks.connecting import CONFIGURATION, job_client
from nilus.values.schemes import SCHEMES, Kind

ODBC = "driver=ODBC+Driver+18+for+SQL+Server"


@pytest.fixture(scope="module")
def pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def google_key(pem):
    return {
        "type": "service_account",
        "project_id": "of-the-key",
        "private_key": pem,
        "private_key_id": "1",
        "client_email": "loader@of-the-key.iam.gserviceaccount.com",
    }


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """dlt's configuration as a run has it, and no credentials of this machine."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS", "DATABRICKS_HOST"):
        monkeypatch.delenv(name, raising=False)
    with isolation(str(tmp_path), CONFIGURATION):
        yield


def spec(address, dataset="raw", **options):
    return SinkSpec(address=address, display_address="shown://***", dataset=dataset, **options)


def built(address, **options):
    """The sink of an address, and the client dlt makes of it with every credential resolved."""
    target = sink(spec(address, **options))
    client = job_client(target)
    assert client.config.credentials.is_resolved()
    assert client.sql_client is not None
    return client.config


def fields(credentials, *names):
    return {name: getattr(credentials, name) for name in names}


def test_snowflake_takes_a_password_a_warehouse_and_a_role():
    config = built("snowflake://u:p%40ss@acc.eu-west-1/sales?warehouse=wh&role=loader")
    params = config.credentials.to_connector_params()
    expected = {"user": "u", "password": "p@ss", "account": "acc.eu-west-1", "database": "sales"}
    assert {name: params[name] for name in expected} == expected
    assert (params["warehouse"], params["role"]) == ("wh", "loader")
    assert config.replace_strategy == "insert-from-staging"


def test_snowflake_takes_a_private_key_of_a_connection_in_place_of_a_password(pem):
    config = built("snowflake://acc/sales", credentials={"username": "u", "private_key": pem})
    params = config.credentials.to_connector_params()
    assert isinstance(params["private_key"], bytes)
    assert params["user"] == "u"


def test_bigquery_takes_a_key_from_a_file_or_from_base64_and_bills_the_project_of_the_address(tmp_path, google_key):
    text = json.dumps(google_key)
    file = tmp_path / "key.json"
    file.write_text(text)
    encoded = base64.b64encode(text.encode()).decode().replace("+", "%2B").replace("=", "%3D")
    for parameter in (f"credentials_path={file}", f"credentials_base64={encoded}"):
        config = built(f"bigquery://billed?location=EU&{parameter}")
        assert config.credentials.client_email == google_key["client_email"]
        assert config.credentials.to_native_credentials().service_account_email == google_key["client_email"]
        assert (config.location, config.project_id) == ("EU", "billed")


def test_bigquery_takes_the_key_of_a_connection(google_key):
    config = built("bigquery://of-the-key", credentials=google_key)
    assert config.credentials.project_id == "of-the-key"


@pytest.mark.parametrize("scheme", ["redshift", "redshift+psycopg2", "redshift+redshift_connector"])
def test_redshift_is_a_server_with_a_database(scheme):
    config = built(f"{scheme}://u:p@h.redshift.amazonaws.com/dev?sslmode=require&iam_role=arn:aws:iam::1:role/x")
    assert fields(config.credentials, "host", "port", "username", "password", "database") == {
        "host": "h.redshift.amazonaws.com", "port": 5439, "username": "u", "password": "p", "database": "dev",
    }  # fmt: skip
    assert "sslmode=require" in config.credentials.to_native_representation()
    assert config.staging_iam_role == "arn:aws:iam::1:role/x"


def test_databricks_takes_a_token():
    config = built("databricks://token:dapi1@dbc.example.com?http_path=/sql/1.0/w&catalog=main&schema=ignored")
    params = config.credentials.to_connector_params()
    assert params["access_token"] == "dapi1"
    assert (params["server_hostname"], params["http_path"], params["catalog"]) == (
        "dbc.example.com", "/sql/1.0/w", "main",
    )  # fmt: skip


def test_databricks_takes_a_service_principal():
    config = built("databricks://dbc.example.com?http_path=/w&catalog=main&client_id=i&client_secret=s")
    assert fields(config.credentials, "client_id", "client_secret", "access_token") == {
        "client_id": "i", "client_secret": "s", "access_token": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "ports", "secure"),
    [("", (9440, 8443), 1), ("?secure=0", (9000, 8123), 0), ("?http_port=18123&secure=0", (9000, 18123), 0)],
)
def test_clickhouse_has_the_ports_that_go_with_tls_or_without(parameters, ports, secure):
    config = built(f"clickhouse://u:p@h/d{parameters}")
    assert (config.credentials.port, config.credentials.http_port) == ports
    assert config.credentials.secure == secure
    assert config.credentials.database == "d"


def test_clickhouse_takes_a_table_engine():
    config = built("clickhouse+native://u:p@h:9000?secure=0&engine=replicated_merge_tree")
    assert config.table_engine_type == "replicated_merge_tree"
    assert config.credentials.port == 9000


def test_athena_takes_keys_a_bucket_and_a_work_group():
    config = built(
        "athena://?bucket=lake/results&access_key_id=AK&secret_access_key=SK&region_name=eu-west-1&workgroup=etl"
    )
    params = config.to_connector_params()
    assert params["s3_staging_dir"] == "s3://lake/results/"
    assert (params["work_group"], params["region_name"]) == ("etl", "eu-west-1")
    assert (params["aws_access_key_id"], params["aws_secret_access_key"]) == ("AK", "SK")
    assert config.force_iceberg


@pytest.fixture
def odbc():
    try:
        import pyodbc
    except ImportError:
        pytest.skip("MISSING: the library of unixODBC (Debian: apt-get install unixodbc)")
    return pyodbc


SQL_SERVER = f"u:p%3Bx@h/Sales?{ODBC}&TrustServerCertificate=yes&connect_timeout=7"


@pytest.mark.parametrize("scheme", ["mssql", "mssql+pyodbc", "synapse"])
def test_sql_server_and_synapse_take_an_odbc_driver_and_its_parameters(scheme):
    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.destinations.impl.mssql.configuration import MsSqlCredentials
    from dlt.destinations.impl.synapse.configuration import SynapseCredentials

    values, options = sink(spec(f"{scheme}://{SQL_SERVER}")).configuration()
    made = SynapseCredentials() if scheme == "synapse" else MsSqlCredentials()
    credentials = resolve_configuration(made, explicit_value=values)
    dsn = credentials.to_odbc_dsn()
    assert "DRIVER=ODBC Driver 18 for SQL Server" in dsn
    assert "SERVER=h,1433" in dsn
    assert "PWD={p;x}" in dsn
    assert "TRUSTSERVERCERTIFICATE=yes" in dsn
    assert credentials.connect_timeout == 7
    assert options == {}


@pytest.mark.parametrize("scheme", ["mssql", "synapse"])
def test_the_client_of_sql_server_and_synapse_is_built(scheme, odbc):
    assert built(f"{scheme}://{SQL_SERVER}").replace_strategy == "insert-from-staging"


@pytest.mark.parametrize("address", ["motherduck://lake?token=T", "md://lake?motherduck_token=T", "motherduck:///lake"])
def test_motherduck_takes_a_database_and_a_token(address):
    options = {} if "=T" in address else {"credentials": {"password": "T"}}
    config = built(address, **options)
    assert config.credentials._conn_str() == "md:lake?motherduck_token=T"


WHOLE = {
    "snowflake": "snowflake://u:p@acc/db",
    "bigquery": "bigquery://project",
    "redshift": "redshift://u:p@h/db",
    "databricks": "databricks://token:t@h?http_path=/w&catalog=c",
    "clickhouse": "clickhouse://u:p@h/db",
    "athena": "athena://?bucket=s3://b/r&region_name=eu-west-1",
    "mssql": f"mssql://u:p@h/db?{ODBC}",
    "synapse": f"synapse://u:p@h/db?{ODBC}",
    "motherduck": "motherduck://db?token=t",
}


def test_every_warehouse_has_a_whole_address_here():
    warehouses = {scheme.sink for scheme in SCHEMES.values() if scheme.kind is Kind.WAREHOUSE}
    assert {SCHEMES[name].sink for name in WHOLE} == warehouses


@pytest.mark.parametrize("name", WHOLE)
def test_a_warehouse_that_nobody_has_run_keeps_no_journal_and_does_not_promise_exactly_once(name):
    target = sink(spec(WHOLE[name]))
    assert target.name == name
    assert not target.exactly_once
    assert isinstance(target.journal(None).rows, NoRows)


@pytest.mark.parametrize(
    ("address", "lacks"),
    [
        ("snowflake://u:p@acc", "database"),
        ("snowflake://u@acc/db", "password"),
        ("bigquery://", "project_id"),
        ("redshift://u:p@h", "database"),
        ("databricks://token:t@h?catalog=c", "http_path"),
        ("databricks://h?http_path=/w&catalog=c", "access_token or client_id"),
        ("clickhouse://u:p@", "host"),
        ("athena://?region_name=x", "query_result_bucket"),
        (f"mssql://h/db?{ODBC}", "username, password"),
        ("motherduck://?token=t", "database"),
        ("motherduck://db", "password"),
        ("redshift://u:p@h:port/db", "a port that is a number"),
        ("clickhouse://u:p@h/d?http_port=x", "a value of http_port that can be read"),
    ],
)
def test_an_incomplete_address_of_a_warehouse_says_what_it_lacks_and_what_it_should_look_like(address, lacks):
    with pytest.raises(DestinationError, match="not complete") as caught:
        sink(spec(address)).destination()
    assert lacks in caught.value.found
    assert caught.value.expected.startswith(f"{address.partition('://')[0]}://")


def test_a_parameter_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(DestinationError, match="not known: warehous") as caught:
        sink(spec("snowflake://u:p@acc/db?warehous=x")).destination()
    assert "warehouse" in caught.value.expected


def test_a_schema_in_a_snowflake_address_is_refused():
    with pytest.raises(DestinationError, match="behind the database"):
        sink(spec("snowflake://u:p@acc/db/schema")).destination()


@pytest.mark.parametrize("parameters", ["credentials_path=/nowhere", "credentials_base64=%21"])
def test_a_bigquery_key_that_cannot_be_read_is_refused(parameters):
    with pytest.raises(DestinationError, match="key cannot be read"):
        sink(spec(f"bigquery://p?{parameters}")).destination()


@pytest.mark.parametrize("drivers", [[], ["FreeTDS"]])
def test_sql_server_without_microsofts_driver_names_it(drivers, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyodbc", SimpleNamespace(__spec__=object(), drivers=lambda: drivers))
    with pytest.raises(DestinationError, match="needs Microsoft's ODBC driver") as caught:
        sink(spec("mssql://u:p@h/db")).destination()
    assert "msodbcsql18" in caught.value.remedy


def test_sql_server_takes_the_newest_driver_there_is(monkeypatch):
    drivers = ["ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"]
    monkeypatch.setitem(sys.modules, "pyodbc", SimpleNamespace(__spec__=object(), drivers=lambda: drivers))
    assert sink(spec("mssql://u:p@h/db")).configuration()[0]["driver"] == drivers[1]


def test_a_machine_without_unixodbc_is_told_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "pyodbc.py").write_text("raise ImportError('libodbc.so.2: cannot open shared object file')\n")
    monkeypatch.delitem(sys.modules, "pyodbc", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DestinationError, match="unixODBC"):
        sink(spec(f"mssql://u:p@h/db?{ODBC}")).destination()


MODULES = {
    "snowflake://u:p@acc/db": ("snowflake.connector", "snowflake"),
    "bigquery://p": ("google.cloud.bigquery", "bigquery"),
    "redshift://u:p@h/db": ("psycopg2", "redshift"),
    "databricks://token:t@h?http_path=/w&catalog=c": ("databricks.sql", "databricks"),
    "clickhouse://u:p@h": ("clickhouse_driver", "clickhouse"),
    "athena://?bucket=b": ("pyathena", "athena"),
    f"mssql://u:p@h/db?{ODBC}": ("pyodbc", "mssql"),
    f"synapse://u:p@h/db?{ODBC}": ("pyodbc", "synapse"),
    "mysql://u:p@h/": ("pymysql", "mysql"),
    "sqlite:////tmp/x/lake.db": ("alembic", "sqlite"),
}


@pytest.mark.parametrize("address", MODULES, ids=lambda address: address.partition(":")[0])
def test_a_missing_driver_is_named_with_the_extra_that_brings_it(address, monkeypatch):
    module, extra = MODULES[address]
    from nilus.runtime.sinks import required_packages

    found = required_packages.importlib.util.find_spec
    monkeypatch.setattr(
        required_packages.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == module else found(name, *rest),
    )
    with pytest.raises(DestinationError) as caught:
        sink(spec(address)).destination()
    assert f'pip install "airflow-provider-nilus[{extra}]"' in caught.value.remedy


def test_a_package_whose_parent_is_missing_too_is_missing():
    from nilus.runtime.sinks.required_packages import require

    assert "nowhere" not in sys.modules
    with pytest.raises(DestinationError, match="not installed"):
        require("nowhere.at.all", "nowhere", "all")


@pytest.mark.parametrize(
    ("address", "hidden"),
    [
        ("snowflake://u:p%40ss@acc/db?private_key_passphrase=phrase1", {"p%40ss", "p@ss", "phrase1"}),
        ("motherduck://db?token=secret-t", {"secret-t"}),
        ("athena://?bucket=b&secret_access_key=SK12345", {"SK12345"}),
    ],
)
def test_every_secret_of_an_address_is_known(address, hidden):
    assert hidden <= set(sink(spec(address)).secrets)


def test_secrets_of_a_connection_s_credentials_are_known():
    target = sink(spec("snowflake://acc/db", credentials={"username": "u", "password": "pw1", "private_key": "key1"}))
    assert {"pw1", "key1"} <= set(target.secrets)


@pytest.mark.parametrize("name", ["snowflake", "bigquery", "redshift", "databricks", "clickhouse", "athena", "synapse"])
@pytest.mark.parametrize("bucket", ["s3://stage/in", "gs://stage", "az://stage"])
def test_a_staging_bucket_becomes_dlt_s_staging_destination(name, bucket, google_key):
    given = {
        "s3": {"aws_access_key_id": "AK", "aws_secret_access_key": "SK", "region_name": "x"},
        "gs": google_key,
        "az": {"azure_storage_account_name": "acct", "azure_storage_account_key": "a2V5"},
    }[bucket[:2]]
    target = sink(spec(WHOLE[name], staging_bucket=bucket, credentials={"staging": given}))
    staging = target.staging_files()
    config = staging.configuration(staging.spec()._bind_dataset_name(dataset_name="raw"))
    assert config.bucket_url == bucket
    assert config.credentials.is_resolved()


@pytest.mark.parametrize(
    ("address", "credentials", "bucket"),
    [
        ("athena://?bucket=s3://b/r&access_key_id=AK&secret_access_key=SK&region_name=x", {}, None),
        ("athena://?bucket=s3://b/r&access_key_id=AK&secret_access_key=SK&region_name=x", {}, "s3://other"),
        ("bigquery://of-the-key", "google_key", "gs://stage"),
    ],
)
def test_a_bucket_of_the_same_cloud_is_opened_with_the_sink_s_own_credentials(address, credentials, bucket, google_key):
    given = google_key if credentials == "google_key" else credentials
    staging = sink(spec(address, staging_bucket=bucket, credentials=given)).staging_files()
    config = staging.configuration(staging.spec()._bind_dataset_name(dataset_name="raw"))
    assert config.bucket_url == (bucket or "s3://b/r")
    if "athena" in address:
        assert config.credentials.aws_secret_access_key == "SK"
    else:
        assert config.credentials.client_email == google_key["client_email"]


def test_without_a_staging_bucket_there_is_none():
    assert sink(spec(WHOLE["snowflake"])).staging_files() is None


def test_a_staging_bucket_of_another_kind_is_refused():
    with pytest.raises(DestinationError, match="cannot load from this staging bucket"):
        sink(spec(WHOLE["snowflake"], staging_bucket="ftp://stage")).staging_files()


OPTIONS = {
    "partition_by": [{"column": "day", "type": "day"}],
    "cluster_by": ["customer_id"],
    "staging_bucket": "s3://stage",
}


@pytest.mark.parametrize(
    ("address", "option"),
    [(WHOLE[name], "staging_bucket") for name in ("mssql", "motherduck")]
    + [("duckdb:////lake.duckdb", option) for option in OPTIONS]
    + [("file:///lake", "partition_by"), (WHOLE["snowflake"], "cluster_by"), ("iceberg:///lake", "staging_bucket")],
)
def test_an_option_that_the_sink_does_not_support_is_refused(address, option):
    target = sink(spec(address, **{option: OPTIONS[option]}))
    with pytest.raises(WorkflowError, match="does not support") as caught:
        support.refuse_options(target.spec, target)
    assert option.replace("_", "-") in caught.value.message
    assert target.name in caught.value.message


@pytest.mark.parametrize(
    ("address", "option"),
    [(WHOLE["snowflake"], "staging_bucket"), ("iceberg:///lake", "partition_by"), ("iceberg:///lake", "cluster_by")],
)
def test_an_option_that_the_sink_supports_is_accepted(address, option):
    target = sink(spec(address, **{option: OPTIONS[option]}))
    support.refuse_options(target.spec, target)


@pytest.mark.parametrize(
    ("name", "bucket", "wanted", "expected"),
    [
        ("snowflake", None, None, "parquet"),
        ("snowflake", "s3://stage", None, "jsonl"),
        ("snowflake", "s3://stage", "csv", "csv"),
        ("redshift", None, None, None),
        ("redshift", "s3://stage", None, "jsonl"),
        ("athena", None, None, "parquet"),
        ("clickhouse", None, "parquet", "parquet"),
    ],
)
def test_the_file_format_is_one_that_is_loaded_the_way_the_files_go(name, bucket, wanted, expected):
    target = sink(spec(WHOLE[name], staging_bucket=bucket, loader_file_format=wanted))
    assert target.file_format(target.destination()) == expected


@pytest.mark.parametrize(("name", "bucket"), [("redshift", None), ("redshift", "s3://stage"), ("athena", None)])
def test_a_file_format_that_is_not_loaded_that_way_is_refused(name, bucket):
    target = sink(spec(WHOLE[name], staging_bucket=bucket, loader_file_format="csv"))
    with pytest.raises(DestinationError, match="does not load files of the format csv"):
        target.file_format(target.destination())
