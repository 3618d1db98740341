"""How the connections of one type become a sink: what a row of the table of connection types says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nilus.errors import DestinationError

if TYPE_CHECKING:
    from airflow.sdk import Connection


class Fields:
    """The fields of one connection, by the names that the rows of the table use.

    A name is one of the connection's own (`host`, `schema`, `login`, `password`, `port`) or `extra.` and a path of
    keys (`extra.service_config.s3.bucket_name`). The older spelling of extras with the type in front of the name
    (`extra__snowflake__account`) is found as well.

    Args:
        connection: the connection.

    Raises:
        DestinationError: its extra is not JSON.
    """

    def __init__(self, connection: Connection) -> None:
        self.conn_id = connection.conn_id
        self.conn_type = (connection.conn_type or "").lower()
        self._connection = connection
        self._extra = _extra(connection)

    def get(self, *names: str) -> Any:
        """Return the value of the first of these fields that has one, else None."""
        return next((value for name in names if (value := self._value(name)) not in (None, "", {}, [])), None)

    def text(self, *names: str) -> str | None:
        """Return the value of the first of these fields that has one as text, else None."""
        value = self.get(*names)
        return None if value is None else str(value)

    def flag(self, *names: str) -> bool:
        """Tell whether one of these fields is true, or a text that says so."""
        return str(self.get(*names)).lower() in ("true", "1", "yes", "on")

    def mapping(self, *names: str) -> dict[str, Any]:
        """Return the value of the first of these fields that has one: a mapping, or JSON text of one.

        Raises:
            DestinationError: it is neither.
        """
        value = self.get(*names)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = "text that is not JSON"
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(names[0], expected="a JSON object")
        return value

    def require(self, *alternatives: str) -> None:
        """Look for fields that must be there; `a|b` is content with either.

        Raises:
            DestinationError: some are not, and it names all of them.
        """
        missing = [names for names in alternatives if self.get(*names.split("|")) is None]
        if missing:
            raise DestinationError(
                f"Connection {self.conn_id!r} is not complete",
                expected=f"a {self.conn_type} connection with {', '.join(map(_quote_names, alternatives))}",
                found=f"nothing in {', '.join(map(_quote_names, missing))}",
                remedy="fill in the missing fields of the connection",
            )

    def wrong(self, name: str, *, expected: str, remedy: str = "correct the connection") -> DestinationError:
        """Return the error for a field whose value cannot be used; the value is not shown."""
        return DestinationError(
            f"Connection {self.conn_id!r}: {_quote_names(name)} cannot be used",
            expected=expected,
            found="another value",
            remedy=remedy,
        )

    def _value(self, name: str) -> Any:
        first, _, rest = name.partition(".")
        if first != "extra":
            return getattr(self._connection, name)
        value: Any = self._extra.get(f"extra__{self.conn_type}__{rest}", self._extra)
        if value is not self._extra:
            return value
        for key in rest.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True)
class Target:
    """Where a connection leads.

    Attributes:
        address: a sink's address; it may hold a password.
        credentials: what else is needed to connect, under dlt's own names of its fields.
    """

    address: str
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One connection type.

    Attributes:
        conn_type: Airflow's name of the type.
        system: what such connections lead to, for people.
        address: makes the sink's address out of the fields and of what `dataos://<connection id>/` is followed by.
        required: the fields that must have a value; `a|b` is content with either.
        credentials: dlt's name of a credential to the fields it is taken from, `a|b` the first with a value.
        more: makes credentials that need more than a copy.
        refused: a field to the reason why connections that set it are refused.
        takes_path: whether something may follow the connection's id: a bucket, a folder.
    """

    conn_type: str
    system: str
    address: Callable[[Fields, str], str]
    required: tuple[str, ...] = ()
    credentials: Mapping[str, str] = field(default_factory=dict)
    more: Callable[[Fields], Mapping[str, Any]] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    takes_path: bool = False

    def target(self, fields: Fields, path: str) -> Target:
        """Return where a connection of this type leads.

        Args:
            fields: the connection's.
            path: what follows the connection's id in the workflow, without slashes around it.

        Raises:
            DestinationError: the connection lacks something, or asks for what is not there.
        """
        fields.require(*self.required)
        for name, reason in self.refused.items():
            if fields.get(name):
                raise fields.wrong(name, expected=f"a connection without it: {reason}")
        if path and not self.takes_path:
            raise DestinationError(
                f"Nothing may follow the id of connection {fields.conn_id!r}",
                expected=f"dataos://{fields.conn_id}, as connections of type {self.conn_type} hold all that is needed",
                found=f"/{path} behind it",
                remedy="take it out of sink.address; the schema belongs into dest-table",
            )
        copied = {name: fields.get(*source.split("|")) for name, source in self.credentials.items()}
        made = {**copied, **(self.more(fields) if self.more else {})}
        return Target(self.address(fields, path), {name: value for name, value in made.items() if value is not None})


def _quote_names(names: str) -> str:
    return " or ".join(name.replace("extra.", "the extra ") for name in names.split("|"))


def _extra(connection: Connection) -> dict[str, Any]:
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        raise DestinationError(
            f"The extra of connection {connection.conn_id!r} cannot be read",
            expected="JSON",
            found="text that is not JSON",
            remedy="correct the connection's extra",
        ) from None
    return extra if isinstance(extra, dict) else {}
