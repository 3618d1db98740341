"""Warehouses: an address becomes dlt's configuration. None of them is run against a server by the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from dlt import Pipeline

from nilus.errors import DestinationError
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.recovery.no_journal import no_journal
from nilus.runtime.sinks.base import Sink
from nilus.runtime.sinks.required_packages import require
from nilus.values.schemes import SCHEMES, scheme_name


@dataclass(frozen=True)
class Parameter:
    """A parameter of an address.

    Attributes:
        name: dlt's name of what it sets.
        is_option: whether it is an argument of dlt's destination, and not one of the credentials.
        read: makes the value of the text.
    """

    name: str
    is_option: bool = False
    read: Callable[[str], Any] = str


@dataclass(frozen=True)
class Parts:
    """The parts of an address, decoded.

    Attributes:
        fields: `username`, `password`, `host`, `port`, `database`: those that are there.
        parameters: what follows the question mark; names in lower case.
    """

    fields: Mapping[str, Any]
    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, address: str) -> Parts:
        """Read an address.

        Raises:
            ValueError: its port is no number.
        """
        split = urlsplit(f"//{address.partition('://')[2]}")
        user, _, host = split.netloc.rpartition("@")
        name, _, password = user.partition(":")
        found = {
            "username": unquote(name),
            "password": unquote(password),
            "host": host.rpartition(":")[0] if split.port else host,
            "port": split.port,
            "database": unquote(split.path.strip("/")),
        }
        parameters = {key.lower(): value for key, value in parse_qsl(split.query, keep_blank_values=True)}
        return cls({key: value for key, value in found.items() if value}, parameters)


class WarehouseSink(Sink):
    """A destination whose configuration is tested, and nothing else of it.

    Since nobody has seen its journal work, it keeps none: a run that appends and keeps state needs `at_least_once`.

    Attributes:
        drivers: modules to packages that must be there.
        example: the form of an address.
        parts: part of an address to dlt's name of the credential.
        parameters: what may follow the question mark.
        ignored: parameters of other tools' addresses that mean nothing here.
        needed: credentials that must have a value; `a|b` is content with either.
        options: arguments of dlt's destination that are always given.
    """

    exactly_once: ClassVar[bool] = False
    supports: ClassVar[frozenset[str]] = frozenset({"staging_bucket"})
    drivers: ClassVar[Mapping[str, str]]
    example: ClassVar[str]
    parts: ClassVar[Mapping[str, str]] = {name: name for name in ("username", "password", "host", "port", "database")}
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    ignored: ClassVar[frozenset[str]] = frozenset()
    needed: ClassVar[tuple[str, ...]] = ("username", "password", "host", "database")
    options: ClassVar[Mapping[str, Any]] = {"replace_strategy": "insert-from-staging"}

    def destination(self) -> Any:
        """Return dlt's destination.

        Raises:
            DestinationError: a driver is not installed, or the address cannot be read or lacks something.
        """
        extra = SCHEMES[scheme_name(self.spec.address)].extra or ""
        for module, package in self.drivers.items():
            require(module, package, extra)
        credentials, options = self.configuration()
        return self.make(credentials, {**self.options, **options})

    def make(self, credentials: dict[str, Any], options: dict[str, Any]) -> Any:
        """Return dlt's destination of that name.

        Args:
            credentials: dlt's names to values.
            options: arguments of the destination.
        """
        import dlt

        return getattr(dlt.destinations, self.name)(credentials=credentials, **options)

    def configuration(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the credentials and the destination's other arguments; a connection's credentials win.

        Raises:
            DestinationError: the address cannot be read, lacks something, or has parameters that are not known.
        """
        try:
            parts = Parts.of(self.spec.address)
        except ValueError:
            raise self.incomplete("a port that is a number") from None
        credentials: dict[str, Any] = {
            self.parts[name]: value for name, value in parts.fields.items() if name in self.parts
        }
        options: dict[str, Any] = {}
        for name, text in parts.parameters.items():
            if name in self.ignored:
                continue
            parameter = self._known_parameter(name)
            try:
                (options if parameter.is_option else credentials)[parameter.name] = parameter.read(text)
            except ValueError:
                raise self.incomplete(f"a value of {name} that can be read") from None
        given = {name: value for name, value in self.spec.credentials.items() if name != "staging"}
        credentials |= given
        self.complete(credentials, options)
        missing = [name for name in self.needed if not any({**credentials, **options}.get(n) for n in name.split("|"))]
        if missing:
            raise self.incomplete(", ".join(name.replace("|", " or ") for name in missing))
        return credentials, options

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:
        """Fill in what follows from the rest, in place; nothing as a rule.

        Raises:
            DestinationError: something does not go together.
        """

    def incomplete(self, what: str) -> DestinationError:
        """Return the error for an address that lacks `what`."""
        return DestinationError(
            f"The {self.name} address is not complete",
            expected=f"{self.example}, special characters percent-encoded",
            found=f"an address without {what}",
            remedy="complete sink.address, or name an Airflow connection: dataos://<connection id>",
        )

    def _known_parameter(self, name: str) -> Parameter:
        parameter = self.parameters.get(name)
        if parameter is None:
            raise DestinationError(
                f"The {self.name} address has a parameter that is not known: {name}",
                expected=f"{', '.join(sorted(self.parameters)) or 'none'}",
                found=name,
                remedy="correct it, or take it out of the address",
            )
        return parameter

    def file_format(self, destination: Any) -> str | None:
        """See `Sink`; with a staging bucket the formats are those that are loaded from there."""
        if self.staging_bucket is None:
            return super().file_format(destination)
        capabilities = destination.capabilities()
        wanted, known = self.spec.loader_file_format, capabilities.supported_staging_file_formats
        if wanted is not None and wanted not in known:
            raise DestinationError(
                f"{self.name} does not load files of the format {wanted} from a staging bucket",
                expected=f"loader-file-format {', '.join(sorted(name for name in known if name != 'model'))}",
                found=wanted,
                remedy="correct sink.options.loader-file-format, or leave it out: the best format is chosen",
            )
        return wanted or capabilities.preferred_staging_file_format

    @property
    def staging_bucket(self) -> str | None:
        """The bucket that files are put into to be loaded from there; None where they go another way."""
        return self.spec.staging_bucket

    def staging_files(self) -> Any:
        """Return dlt's destination of the staging bucket, or None.

        Its credentials are the connection's `staging_credentials`, else those of the sink itself where they are of the
        same cloud, else what the machine has.
        """
        if self.staging_bucket is None:
            return None
        import dlt

        from nilus.runtime.sinks.files.stores import STORES, credentials

        scheme = self.staging_bucket.partition("://")[0].lower()
        store = STORES.get(scheme)
        if store is None or not store.extra:
            raise DestinationError(
                f"{self.name} cannot load from this staging bucket",
                expected="gs://, s3:// or az://",
                found=f"{scheme}://",
                remedy="correct sink.options.staging-bucket",
            )
        if store.driver is not None:
            require(store.driver, store.driver, store.extra)
        own = self.spec.credentials.get("staging") or self.staging_credentials(scheme)
        return dlt.destinations.filesystem(
            bucket_url=self.staging_bucket.rstrip("/"), credentials=credentials(scheme, {}, own)
        )

    def staging_credentials(self, scheme: str) -> dict[str, Any]:  # noqa: ARG002 - for those that share a cloud
        """Return the sink's own credentials where they open a bucket of `scheme`; none as a rule."""
        return {}

    def journal(self, pipeline: Pipeline) -> Journal:  # noqa: ARG002 - there is none
        """Return a journal that keeps nothing."""
        return no_journal()


def whole_number(text: str) -> int:
    """Return the number a text is.

    Raises:
        ValueError: it is none.
    """
    return int(text)


def flag(text: str) -> bool:
    """Return what a text says of yes and no.

    Raises:
        ValueError: it says neither.
    """
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]
