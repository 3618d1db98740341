"""Where a pipeline keeps its normalized packages, and what is in the folder of one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dlt import Pipeline
from dlt.common.storages import LoadStorage, PackageStorage

__all__ = [
    "JOBS_FOLDER",
    "SCHEMA_FILE",
    "SINGLE_FILES",
    "make_package_folder",
    "package_folder",
]

SCHEMA_FILE: Final = PackageStorage.SCHEMA_FILE_NAME
"""The file with the schema that the package is loaded under."""

SINGLE_FILES: Final = (
    SCHEMA_FILE,
    PackageStorage.SCHEMA_UPDATES_FILE_NAME,
    PackageStorage.LOAD_PACKAGE_STATE_FILE_NAME,
)
"""The files beside the folders of a package that has not been loaded; some may be missing."""

JOBS_FOLDER: Final = PackageStorage.NEW_JOBS_FOLDER
"""The folder of the load files of such a package."""


def package_folder(pipeline: Pipeline, load_id: str) -> Path:
    """Return the folder of a normalized package of a pipeline."""
    return Path(_storage(pipeline, make_folders=False).storage.make_full_path(load_id))


def make_package_folder(pipeline: Pipeline, load_id: str) -> Path:
    """Make the folder of a normalized package, with the folders in it, and return it: dlt loads it next."""
    storage = _storage(pipeline, make_folders=True)
    storage.create_package(load_id)
    return Path(storage.storage.make_full_path(load_id))


def _storage(pipeline: Pipeline, *, make_folders: bool) -> PackageStorage:
    return LoadStorage(make_folders, [], pipeline._load_storage_config()).normalized_packages
