"""A workflow's sink address becomes one that can be connected to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from airflow_provider_nilus.connections.addressed import DEPOT_SCHEME
from airflow_provider_nilus.connections.profile import Fields, Target
from nilus.errors import DestinationError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from nilus.values.address import Address

log = logging.getLogger(__name__)

_WRITABLE = ("rw", "w")
_READ_ONLY = "r"
_DEPOT_PARAMETERS = ("purpose", "acl")
_TABLE_FORMAT = "table_format"
_AMAZON = ("s3", "athena")
_PYICEBERG = {"region_name": "client.region", "endpoint_url": "s3.endpoint"}


@dataclass(frozen=True)
class ResolvedSink:
    """A sink's address with everything in it that is needed to connect.

    Attributes:
        address: may hold a password.
        display_address: fit for logs.
        secrets: the texts in `address` and `credentials` that must never be shown.
        credentials: what else is needed to connect, under dlt's own names of its fields.
    """

    address: str
    display_address: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)


def resolve_sink(
    address: str,
    *,
    home: Path,
    get_connection: Callable[[str], Connection],
    region: str | None = None,
    endpoint: str | None = None,
) -> ResolvedSink:
    """Resolve `dataos://<connection id>` and make addresses of local databases absolute.

    Args:
        address: the workflow's `sink.address`, its `{ENV}` already filled in.
        home: folder that relative paths are relative to.
        get_connection: returns the Airflow connection of an id.
        region: the workflow's `aws-region`; it wins over the connection's.
        endpoint: the workflow's `aws-endpoint`; it wins over the connection's.

    Raises:
        DestinationError: the connection is of a type we cannot load into, or lacks something, or the address asks for
            what a sink cannot be.
    """
    from nilus.values.address import Address
    from nilus.values.redaction import secret_values

    written = Address.parse(address)
    target = _depot(written, get_connection) if written.scheme == DEPOT_SCHEME else Target(address)
    resolved = Address.parse(Address.parse(target.address).absolute(home))
    credentials = {**target.credentials, **_amazon(resolved.scheme, region, endpoint)}
    secrets = dict.fromkeys((*resolved.secrets, *secret_values(credentials)))
    return ResolvedSink(resolved.text, str(resolved), tuple(secrets), credentials)


def _amazon(scheme: str, region: str | None, endpoint: str | None) -> dict[str, str]:
    given = {"region_name": region, "endpoint_url": endpoint}
    chosen = {name: value for name, value in given.items() if value}
    if scheme == "iceberg":
        return {_PYICEBERG[name]: value for name, value in chosen.items()}
    if chosen and scheme not in _AMAZON:
        log.warning("sink.options.aws-region and aws-endpoint have no effect on this sink")
        return {}
    return chosen


def _connection(conn_id: str, get_connection: Callable[[str], Connection]) -> Connection:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        return get_connection(conn_id)
    except AirflowNotFoundException:
        raise DestinationError(
            f"There is no Airflow connection {conn_id!r}, which the sink address names",
            expected="a connection with this id",
            found="none",
            remedy="add the connection to Airflow, or correct its id in sink.address",
        ) from None


def _depot(address: Address, get_connection: Callable[[str], Connection]) -> Target:
    from airflow_provider_nilus.connections.table import PROFILES

    conn_id, _, path = (address.host + address.path).strip("/").partition("/")
    if not conn_id:
        raise DestinationError(
            "The sink address names no connection",
            expected="dataos://<id of an Airflow connection>",
            found=str(address),
            remedy="name the connection",
        )
    parameters = address.parameters
    table_format = parameters.pop(_TABLE_FORMAT, None)
    _check_depot(parameters)
    fields = Fields(_connection(unquote(conn_id), get_connection))
    profile = PROFILES.get(fields.conn_type)
    if profile is None:
        raise DestinationError(
            f"Connection {fields.conn_id!r} is of type {fields.conn_type or 'none'!r}, which is no sink here",
            expected=f"a connection of type {', '.join(sorted(PROFILES))}",
            found=fields.conn_type or "no type",
            remedy="choose another connection, or write the address into the workflow's sink.address",
        )
    target = profile.target(fields, unquote(path.strip("/")))
    if table_format:
        mark = "&" if "?" in target.address else "?"
        target = Target(f"{target.address}{mark}{_TABLE_FORMAT}={quote(table_format)}", target.credentials)
    staging = fields.mapping("extra.staging_credentials")
    return Target(target.address, {**target.credentials, "staging": staging}) if staging else target


def _check_depot(parameters: Mapping[str, str]) -> None:
    """Accept what says that the depot is written to; a connection has no such rights of its own."""
    for name, value in parameters.items():
        if name not in _DEPOT_PARAMETERS or value.lower() not in (*_WRITABLE, _READ_ONLY):
            raise DestinationError(
                f"The parameter {name!r} of the sink address is not known",
                expected="dataos://<connection id>, ?purpose=rw or ?acl=rw",
                found=f"{name}={value}" if name in _DEPOT_PARAMETERS else name,
                remedy="take it out of sink.address",
            )
        if value.lower() == _READ_ONLY:
            raise DestinationError(
                "The sink address asks for reading only",
                expected=f"{name}=rw, or nothing",
                found=f"{name}={value}",
                remedy=f"a sink is written to: correct {name} in sink.address",
            )
        log.info("%s=%s in the sink address is ignored: the connection's user has the rights it has", name, value)
