"""Files: a folder of this machine, or of an object store."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote

from dlt import Pipeline

from nilus.errors import DestinationError
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.sinks.base import Sink
from nilus.runtime.sinks.files.stores import STORES, Store, credentials

_TABLE_FORMAT = "table_format"
_FORMATS = ("parquet", "jsonl", "csv")
_DELTA = "delta"


class FilesystemSink(Sink):
    """`file:///folder`, `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`.

    A dataset is a folder in it, a table a folder in that, holding files `<load id>.<file id>.<format>`; with
    `?table_format=delta` a table is a Delta table. Other parameters of the address are credentials of the store, see
    `nilus.runtime.sinks.files.stores`.
    """

    name: ClassVar[str] = "filesystem"
    best_file_format: ClassVar[str | None] = "parquet"
    merge_remedy: ClassVar[str] = (
        "files cannot be merged: choose append or replace, or add ?table_format=delta to the sink's address, which "
        "merges by a primary key"
    )
    refusals: ClassVar[tuple[str, ...]] = (
        "permission denied",
        "access ?denied",
        "forbidden",
        "read-only file system",
        "not a directory",
        "no such bucket|bucket does not exist|NoSuchBucket",
        "invalid ?access ?key|signature ?does ?not ?match|unable to locate credentials",
        "authentication ?failed|invalid_grant|anonymous caller",
    )

    @property
    def store(self) -> Store:
        """The kind of store the address names."""
        return STORES[self._parts()[0]]

    @property
    def bucket_url(self) -> str:
        """The address without its parameters.

        Raises:
            DestinationError: it names no folder.
        """
        scheme, rest, _ = self._parts()
        if scheme != "file":
            if not rest.strip("/"):
                raise self._incomplete(f"{scheme}://{self.store.place}/folder")
            return f"{scheme}://{unquote(rest).rstrip('/')}"
        path = unquote(rest)
        if not path or not Path(path).is_absolute():
            raise self._incomplete("file:///absolute/folder")
        return f"file://{rest.rstrip('/') or '/'}"

    @property
    def table_format(self) -> str | None:
        """`delta`, or None for plain files.

        Raises:
            DestinationError: the address names another one.
        """
        wanted = self._parts()[2].get(_TABLE_FORMAT)
        if wanted in (None, "", "native", "files"):
            return None
        if wanted != _DELTA:
            raise DestinationError(
                f"The table format {wanted!r} is not known here",
                expected="?table_format=delta, or none for plain files",
                found=f"{_TABLE_FORMAT}={wanted}",
                remedy="correct the address; Iceberg tables are written to a lakehouse: dataos://<connection id>",
            )
        return _DELTA

    def destination(self) -> Any:
        """Return dlt's filesystem destination, in our variety.

        Raises:
            DestinationError: the address cannot be read, or a driver is not installed.
        """
        from nilus.runtime.sinks.files.client import FilesDestination

        scheme, _, parameters = self._parts()
        self._require(self.store.driver, self.store.extra)
        if self.table_format == _DELTA:
            self._require("deltalake", _DELTA)
        given = {name: value for name, value in parameters.items() if name != _TABLE_FORMAT}
        made = credentials(scheme, given, self.spec.credentials)
        if scheme == "s3" and self.table_format == _DELTA and not (made.region_name or made.endpoint_url):
            raise DestinationError(
                "Delta tables in S3 need the region of the bucket",
                expected="sink.options.aws-region, ?region=… in the address, or region_name in the connection",
                found="none, nor one in the worker's own configuration of AWS",
                remedy="name the region",
            )
        return FilesDestination(bucket_url=self.bucket_url, credentials=made)

    def file_format(self, destination: Any) -> str | None:  # noqa: ARG002 - what it says depends on the table
        """Return the format of files.

        Args:
            destination: what `destination` returned.

        Raises:
            DestinationError: the workflow names one that cannot be written, or that a Delta table does not consist of.
        """
        wanted = self.spec.loader_file_format
        known = _FORMATS[:1] if self.table_format == _DELTA else _FORMATS
        if wanted is not None and wanted not in known:
            what = "A Delta table" if self.table_format == _DELTA else "The sink"
            raise DestinationError(
                f"{what} does not consist of files of the format {wanted}",
                expected=f"loader-file-format {', '.join(known)}",
                found=wanted,
                remedy="correct sink.options.loader-file-format, or leave it out for parquet",
            )
        return wanted or self.best_file_format

    def journal(self, pipeline: Pipeline) -> Journal:
        """Return the journal, which is files as well."""
        from nilus.runtime.sinks.files.journal import FileRows

        return Journal(FileRows(pipeline))

    def dataset(self, pipeline: Pipeline) -> str:
        """Return the name of the dataset's folder."""
        from nilus.runtime.sinks.files.journal import files_client

        with files_client(pipeline) as client:
            return client.dataset_name

    def finish_loads(self, pipeline: Pipeline) -> None:
        """Finish replacing tables for loads that are complete, and whose process died before all files were moved."""
        from nilus.runtime.sinks.files.journal import files_client, landed_loads

        with files_client(pipeline) as client:
            held = client.held_loads()
            for load_id in sorted(landed_loads(client).intersection(held), key=float) if held else ():
                client.finish(load_id, late=True)

    def _parts(self) -> tuple[str, str, dict[str, str]]:
        """Return the scheme, what follows it up to the parameters, and the parameters."""
        scheme, _, rest = self.spec.address.partition("://")
        place, _, query = rest.partition("?")
        return scheme.lower(), place, dict(parse_qsl(query, keep_blank_values=True))

    def _incomplete(self, expected: str) -> DestinationError:
        return DestinationError(
            "The sink's address names no folder",
            expected=expected,
            found=self.spec.display_address,
            remedy="complete sink.address",
        )

    def _require(self, module: str | None, extra: str) -> None:
        if module is not None and find_spec(module) is None:
            raise DestinationError(
                f"What is needed for {self.spec.display_address} is not installed",
                expected=module,
                found="no such package",
                remedy=f'install "airflow-provider-nilus[{extra}]" on the worker',
            )
