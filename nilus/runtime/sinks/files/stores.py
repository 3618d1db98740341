"""The stores that files can be kept in, and how each is logged in to."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nilus.errors import DestinationError
from nilus.values.schemes import SCHEMES, Kind


@dataclass(frozen=True)
class Store:
    """A kind of store.

    Attributes:
        place: what its addresses begin with, for messages.
        driver: the module that reaches it; None if none is needed.
        extra: of this package, which installs the driver.
        parameters: what an address may say, and dlt's names of the same.
    """

    place: str
    driver: str | None = None
    extra: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


_S3 = Store(
    place="bucket",
    driver=SCHEMES["s3"].driver,
    extra="s3",
    parameters={
        "access_key_id": "aws_access_key_id",
        "secret_access_key": "aws_secret_access_key",
        "session_token": "aws_session_token",
        "profile": "profile_name",
        "region": "region_name",
        "endpoint_url": "endpoint_url",
    },
)
_GS = Store(
    place="bucket",
    driver=SCHEMES["gs"].driver,
    extra="gs",
    parameters={
        "project_id": "project_id",
        "credentials_path": "credentials_path",
        "credentials_base64": "credentials_base64",
    },
)
_AZ = Store(
    place="container",
    driver=SCHEMES["az"].driver,
    extra="az",
    parameters={
        "account_name": "azure_storage_account_name",
        "account_key": "azure_storage_account_key",
        "sas_token": "azure_storage_sas_token",
        "account_host": "azure_account_host",
        "tenant_id": "azure_tenant_id",
        "client_id": "azure_client_id",
        "client_secret": "azure_client_secret",
    },
)
_BY_EXTRA = {None: Store(place=""), "s3": _S3, "gs": _GS, "az": _AZ}
STORES: Mapping[str, Store] = {
    name: _BY_EXTRA[scheme.extra] for name, scheme in SCHEMES.items() if scheme.kind is Kind.FILES
}


def credentials(scheme: str, parameters: Mapping[str, str], given: Mapping[str, Any]) -> Any:
    """Return dlt's credentials for a store; None leaves it to the machine's own (a role, its environment, its files).

    Args:
        scheme: of the address.
        parameters: of the address, under our short names or dlt's; they win.
        given: a connection's, under dlt's names.

    Raises:
        DestinationError: a parameter is not known, or a file of credentials cannot be read.
    """
    store = STORES[scheme]
    known = {**store.parameters, **{name: name for name in store.parameters.values()}}
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise DestinationError(
            f"The parameter {unknown[0]!r} of the sink's address is not known",
            expected=", ".join(["table_format", *store.parameters]),
            found=", ".join(unknown),
            remedy="correct sink.address, or name an Airflow connection: dataos://<connection id>",
        )
    values = {name: value for name, value in given.items() if value not in (None, "")}
    values |= {known[name]: value for name, value in parameters.items() if value}
    return _MAKERS[store.extra](values) if store.extra else None


def _aws(values: dict[str, Any]) -> Any:
    from dlt.common.configuration.specs import AwsCredentials

    pair = ("aws_access_key_id", "aws_secret_access_key")
    missing = [name for name in pair if name not in values]
    if len(missing) == 1:  # dlt would take the machine's own in place of both
        raise DestinationError(
            "The credentials of S3 are not complete",
            expected=" and ".join(pair),
            found=f"no {missing[0]}",
            remedy="give both, or none to use the worker's own",
        )
    made = AwsCredentials(**_fields(AwsCredentials, values))
    if not made.region_name:
        import botocore.session  # type: ignore[import-untyped]

        made.region_name = botocore.session.get_session().get_config_variable("region") or os.environ.get("AWS_REGION")
    return made


def _azure(values: dict[str, Any]) -> Any:
    from dlt.common.configuration.specs import AzureCredentials, AzureServicePrincipalCredentials

    kind = AzureServicePrincipalCredentials if "azure_tenant_id" in values else AzureCredentials
    return kind(**_fields(kind, values))


def _google(values: dict[str, Any]) -> Any:
    from dlt.common.configuration.specs import GcpOAuthCredentials, GcpServiceAccountCredentials

    path, encoded = values.pop("credentials_path", None), values.pop("credentials_base64", None)
    if path or encoded:
        values = {**_key_file(path, encoded), **values}
    kind: Any = GcpOAuthCredentials if "refresh_token" in values else GcpServiceAccountCredentials
    return kind(**_fields(kind, values))


def _key_file(path: str | None, encoded: str | None) -> dict[str, Any]:
    try:
        text = Path(path).read_text() if path else base64.b64decode(encoded or "", validate=True).decode()
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise DestinationError(
            "The key of the Google service account cannot be read",
            expected="the JSON file that Google gives, by its path or in base64",
            found=f"{type(error).__name__}{f' at {path}' if path else ''}",
            remedy="correct credentials_path or credentials_base64",
        ) from None
    return content if isinstance(content, dict) else {}


def _fields(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that dlt's class has fields for; a file of Google's holds more than that."""
    names = {one.name for one in dataclasses.fields(kind) if one.init}
    return {name: value for name, value in values.items() if name in names}


_MAKERS = {"s3": _aws, "az": _azure, "gs": _google}
