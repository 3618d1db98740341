"""dlt's `filesystem` destination, made safe to be killed.

By itself dlt deletes the files of a table that is replaced before it writes the new ones, and writes files on a local
disk in place, so that a reader may find a table empty or a file half written. Here the new files of a table that is
replaced are held back in a folder of the load, `<dataset>_staging/<load id>`, until the load is complete (its file
in `_dlt_loads` is written); then they take the places of the old ones. A process that dies in between leaves work that
anybody can finish: `FilesClient.finish`.
"""

from __future__ import annotations

import json
import posixpath
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import LoadJob
from dlt.common.json import json as dlt_json
from dlt.common.schema.utils import get_write_disposition
from dlt.common.storages.load_package import ParsedLoadJobFileName, load_package_state
from dlt.destinations.impl.filesystem.factory import filesystem
from dlt.destinations.impl.filesystem.filesystem import DeltaLoadFilesystemJob, FilesystemClient, FilesystemLoadJob

from nilus.errors import DestinationError
from nilus.runtime.recovery.fence import LoadStopped
from nilus.runtime.sinks.files import fence, rows
from nilus.runtime.sinks.files.file_names import load_of

_REPLACES: Final = "replaces.json"
_DELTA_LOG: Final = "_delta_log"


class FilesDestination(filesystem):
    """dlt's destination with our client; to dlt it is its own, by type and by name."""

    @property
    def destination_type(self) -> str:
        """What dlt keeps in its state."""
        return "dlt.destinations.filesystem"

    @property
    def client_class(self) -> type[FilesystemClient]:
        """The client that does the work."""
        return FilesClient


class FileLoadJob(FilesystemLoadJob):
    """Brings one file of a load to its place, or to the load's own folder if its table is replaced.

    On a local disk a file appears by rename; in an object store it appears when it is complete.
    A subclass: `_job_client`, `_file_path`, `_load_id` and `_load_table` are dlt's.
    """

    def run(self) -> None:
        """Called by dlt, in one of its threads."""
        client: FilesClient = self._job_client  # type: ignore[assignment]
        fence.check(client)
        place = self.make_remote_path()
        held = self._is_held()
        self._bring(client, place, held=held)
        try:
            fence.check(client)
        except LoadStopped:
            client.delete_file(client.staged_path(self._load_id, place) if held else place)
            raise

    def _bring(self, client: FilesClient, place: str, *, held: bool) -> None:
        if not held and not client.is_local_filesystem:
            client.fs_client.put_file(self._file_path, place)
            return
        staged = client.staged_path(self._load_id, place)
        client.make_folder_of(staged)
        client.fs_client.put_file(self._file_path, staged)
        if not held:
            client.move(staged, place)

    def _is_held(self) -> bool:
        if self._load_table["write_disposition"] == "replace":
            return True
        dropped = load_package_state()["state"].get("dropped_tables", [])
        return any(table["name"] == self.load_table_name for table in dropped)


class DeltaLoadJob(DeltaLoadFilesystemJob):
    """Adds the files of a table to a Delta table. A subclass: `_job_client` and `_load_id` are dlt's."""

    def run(self) -> None:
        """Called by dlt, in one of its threads."""
        client: FilesClient = self._job_client  # type: ignore[assignment]
        fence.check(client)
        super().run()
        try:
            fence.check(client)
        except LoadStopped:
            if self._load_table["write_disposition"] == "append":
                rows.remove(client, self.load_table_name, self._load_id)
            raise


class FilesClient(FilesystemClient):
    """dlt's client, with replacing put off until the load is complete.

    A subclass: `_delete_file` is dlt's, and `_write_to_json_file` stands in for dlt's.
    """

    _in_staging = False

    @contextmanager
    def with_staging_dataset(self) -> Iterator[FilesystemClient]:
        """Called by dlt to make a staging dataset, of which nothing would be used."""
        self._in_staging = True
        try:
            yield self
        finally:
            self._in_staging = False

    def create_dataset(self) -> None:
        """Make the dataset's folder; that it is there already, without dlt's mark in it, is no failure."""
        if self.config.protocol == "s3":
            self._create_bucket_without_location()
        self.fs_client.makedirs(self.dataset_path, exist_ok=True)

    def _create_bucket_without_location(self) -> None:
        """Create a missing bucket of us-east-1, which s3fs would name as its location: S3 refuses that one name."""
        if getattr(self.config.credentials, "region_name", None) != "us-east-1":
            return
        bucket = self.dataset_path.split("/", 1)[0]
        if not self.fs_client.exists(bucket):
            self.fs_client.call_s3("create_bucket", Bucket=bucket)
            self.fs_client.invalidate_cache()

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Make the dataset; tables that are to be emptied keep their files until the load is complete."""
        if self._in_staging:
            return
        tables = set(truncate_tables or ())
        held = {table for table in tables if not self.is_delta(table)}
        super().initialize_storage(truncate_tables=tables - held)
        self._keep_files(held)

    def drop_tables(self, *tables: str, delete_schema: bool = True) -> None:
        """Drop tables; those made of files keep them until the load is complete."""
        if self._in_staging:
            return
        delta = {table for table in tables if self.is_delta(table)}
        self._keep_files(set(tables) - delta)
        super().drop_tables(*delta, delete_schema=delete_schema)

    def update_stored_schema(
        self, only_tables: Iterable[str] | None = None, expected_update: Any = None, force: bool = False
    ) -> Any:
        """Store the schema."""
        if self._in_staging:
            return {}
        return super().update_stored_schema(only_tables, expected_update, force)  # type: ignore[arg-type]

    def verify_schema(
        self,
        only_tables: Iterable[str] | None = None,
        new_jobs: Iterable[ParsedLoadJobFileName] | None = None,
    ) -> list[PreparedTableSchema]:
        """Verify the tables of a load. dlt would append the rows of a table that it cannot merge.

        Raises:
            DestinationError: a table of files is to be merged, or to be a Delta table; or a Delta table is to be files.
        """
        names = list(only_tables or ())
        for name in {job.table_name for job in new_jobs or ()} - set(self.schema.dlt_table_names()):
            self._refuse_other_format(name)
        for name in names:
            if (
                name in self.schema.tables
                and get_write_disposition(self.schema.tables, name) == "merge"
                and self.prepare_load_table(name)["write_disposition"] != "merge"
            ):
                raise DestinationError(
                    f"Table {name!r} is to be merged, and files cannot be merged",
                    expected="append or replace, or a table format that merges: ?table_format=delta",
                    found="write disposition merge on plain files",
                    remedy="choose another disposition, or add ?table_format=delta to the sink's address",
                )
        return super().verify_schema(names, new_jobs)  # type: ignore[arg-type]

    def get_load_job_class(self, table: PreparedTableSchema, file_path: str) -> type[LoadJob]:
        """Return the class of the job that loads a file."""
        job = super().get_load_job_class(table, file_path)
        ours: dict[type[LoadJob], type[LoadJob]] = {
            FilesystemLoadJob: FileLoadJob,
            DeltaLoadFilesystemJob: DeltaLoadJob,
        }
        return ours.get(job, job)

    def complete_load(self, load_id: str) -> None:
        """Enter the load in `_dlt_loads`, then let its held files take the places of the old ones."""
        fence.check(self)
        super().complete_load(load_id)
        fence.check_complete(self)
        self.finish(load_id)

    def finish(self, load_id: str, *, late: bool = False) -> None:
        """Let the held files of a complete load take the places of those they replace; again is harmless.

        Args:
            load_id: of a load that is complete.
            late: the process that loaded it is gone; tables that a newer load has replaced since then are left alone.
        """
        folder = self.staged_folder(load_id)
        staged = self.files_below(folder)
        manifest = self.pathlib.join(folder, _REPLACES)
        tables = json.loads(self.fs_client.read_text(manifest))["tables"] if manifest in staged else []
        outdated = set()
        old = []
        for table in tables:
            others = [path for path in self.table_files(table) if load_of(path) != load_id]
            if late and any(_is_newer(load_of(path), load_id) for path in others):
                outdated.add(table)
            else:
                old += others
        for path in staged:
            place = self.pathlib.relpath(path, folder)
            if path != manifest and place.split(self.pathlib.sep)[0] not in outdated:
                self.move(path, self.pathlib.join(self.dataset_path, place))
        for path in old:
            self.delete_file(path)
        self.forget(load_id)

    def forget(self, load_id: str) -> None:
        """Remove the folder in which files of a load are held; what replaces what goes last."""
        folder = self.staged_folder(load_id)
        if self.is_local_filesystem:
            manifest = self.pathlib.join(folder, _REPLACES)
            for path in self.files_below(folder):
                if path != manifest:
                    self.delete_file(path)
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # other loads may have folders there
                Path(folder).parent.rmdir()
            return
        for path in sorted(self.files_below(folder), key=lambda path: path.endswith(f"/{_REPLACES}")):
            self.delete_file(path)

    def held_loads(self) -> list[str]:
        """Return the ids of the loads that have a folder with held files."""
        return self.names_in(self.pathlib.dirname(self.staged_folder("any")))

    def staged_folder(self, load_id: str) -> str:
        """Return the folder of a load's own."""
        return str(self.pathlib.join(self.bucket_path, f"{self.dataset_name}_staging", load_id))

    def staged_path(self, load_id: str, place: str) -> str:
        """Return where a file is held that is meant for `place`, in the load's folder."""
        return str(self.pathlib.join(self.staged_folder(load_id), self.pathlib.relpath(place, self.dataset_path)))

    def table_names(self) -> list[str]:
        """Return the tables that have a folder; dlt's own and the journal are left out."""
        names = self.names_in(self.dataset_path)
        return [name for name in names if not name.startswith(("_dlt_", "_airflow_")) and "." not in name]

    def table_files(self, table: str) -> list[str]:
        """Return the files of a table, those of its Delta log included."""
        return self.files_below(self.pathlib.join(self.dataset_path, table))

    def is_delta(self, table: str) -> bool:
        """Tell whether a table is, or is to be, a Delta table."""
        return self.is_open_table("delta", table) or self.has_delta_log(table)

    def has_delta_log(self, table: str) -> bool:
        """Tell whether a Delta table is there."""
        return bool(self.fs_client.exists(self.pathlib.join(self.dataset_path, table, _DELTA_LOG)))

    def names_in(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, in order; none if it is not there."""
        try:
            found = self.fs_client.ls(folder.rstrip(self.pathlib.sep), detail=False)
        except FileNotFoundError:
            return []
        names = {posixpath.basename(path.rstrip("/")) for path in found}
        return sorted(name for name in names if name and not name.startswith("."))

    def files_below(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder; none if it is not there."""
        root = folder.rstrip(self.pathlib.sep)
        # Some stores answer with what merely begins with the folder's name as well.
        return sorted(path for path in self.fs_client.find(root) if path.startswith(f"{root}{self.pathlib.sep}"))

    def make_folder_of(self, path: str) -> None:
        """Make the folder of a path, where folders are things of their own."""
        if self.is_local_filesystem:
            self.fs_client.makedirs(str(Path(path).parent), exist_ok=True)

    def move(self, source: str, target: str) -> None:
        """Move a file; that somebody else has just done so is as good."""
        self.make_folder_of(target)
        try:
            if self.is_local_filesystem:
                Path(source).replace(target)
            else:
                self.fs_client.cp_file(source, target)
                self.delete_file(source)
        except FileNotFoundError:
            if not self.fs_client.exists(target):
                raise

    def delete_file(self, path: str) -> None:
        """Delete a file; that it is gone already is as good, and so is what OneLake answers instead of `deleted`."""
        self._delete_file(path)

    def write_document(self, path: str, document: Any) -> None:
        """Write a JSON document that appears at once and complete."""
        text = dlt_json.dumps(document)
        if not self.is_local_filesystem:
            self.fs_client.write_text(path, text, encoding="utf-8")
            return
        self.make_folder_of(path)
        part = Path(path).with_name(f".{Path(path).name}.{secrets.token_hex(4)}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)

    def _write_to_json_file(self, filepath: str, data: Any) -> None:
        self.write_document(filepath, data)

    def _refuse_other_format(self, table: str) -> None:
        wanted, found = self.is_open_table("delta", table), self.has_delta_log(table)
        if wanted == found or (wanted and not self.table_files(table)):
            return
        kinds = {True: "a Delta table", False: "plain files"}
        raise DestinationError(
            f"Table {table!r} is to be {kinds[wanted]}, and its folder holds {kinds[found]}",
            expected=kinds[wanted],
            found=f"{kinds[found]} in {self.dataset_name}/{table}",
            remedy="correct ?table_format in the sink's address, choose another dest-table, or remove the folder",
        )

    def _keep_files(self, tables: set[str]) -> None:
        """Note that the files of tables go when the load is complete."""
        if not tables:
            return
        path = self.pathlib.join(self.staged_folder(load_package_state()["load_id"]), _REPLACES)
        noted = json.loads(self.fs_client.read_text(path))["tables"] if self.fs_client.exists(path) else []
        self.write_document(path, {"tables": sorted({*noted, *tables})})


def _is_newer(one: str, other: str) -> bool:
    try:
        return float(one) > float(other)
    except ValueError:  # a file that somebody else put there
        return False
