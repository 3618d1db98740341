"""The run context dlt works in: one dictionary of ours instead of the machine's environment and TOML files.

dlt's default context fills every argument that has a default from the environment (`path=None` becomes `$PATH`), reads
`.dlt/` folders of the machine and, beside Airflow, asks for hundreds of Airflow Variables. None of that happens here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.dictionary import DictionaryProvider
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext

from nilus.errors import WorkflowError
from nilus.protocol.job import Job
from nilus.runtime.engine.internals.interval import external_interval
from nilus.values.redaction import redact_value
from nilus.values.spelling import did_you_mean

_SOURCE_CONFIG_PREFIX = "SOURCES__"
_NAMING_NAMES = ("SCHEMA_NAMING", "SCHEMA__NAMING")  # ingestr's spelling, and dlt's
_NAMINGS = ("default", "snake_case", "direct", "duck_case", "sql_ci_v1", "sql_cs_v1")


class _Values(DictionaryProvider):
    """A provider of the very dictionary it is given: what is changed in it later counts."""

    def __init__(self, values: dict[str, Any]) -> None:
        super(DictionaryProvider, self).__init__(values)


class IsolatedRunContext(RunContext):
    """A dlt run context with a single configuration provider and all its folders in one scratch folder."""

    def __init__(self, run_dir: str, values: dict[str, Any]) -> None:
        super().__init__(run_dir)
        self._values = values
        self._folder = run_dir

    def initial_providers(self) -> list[ConfigProvider]:
        """Return the one provider there is."""
        return [_Values(self._values)]

    @property
    def global_dir(self) -> str:
        """The scratch folder, and not that of the machine's user."""
        return self._folder

    @property
    def run_dir(self) -> str:
        """The scratch folder, whatever `DLT_PROJECT_DIR` says."""
        return self._folder

    @property
    def local_dir(self) -> str:
        """The scratch folder, whatever `DLT_LOCAL_DIR` says."""
        return self._folder

    @property
    def data_dir(self) -> str:
        """The scratch folder, whatever `DLT_DATA_DIR` says."""
        return self._folder


def config_values(job: Job, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return dlt's whole configuration for one run.

    Args:
        job: the run.
        environ: where the values of `job.place.env_names` are; `SOURCES__…` names among them become dlt configuration
            of the source, nested at the double underscores as dlt's own environment names are; `SCHEMA_NAMING`
            chooses the naming convention.

    Raises:
        WorkflowError: `SCHEMA_NAMING` names none.
    """
    values: dict[str, Any] = {
        "runtime": {"dlthub_telemetry": False, "log_level": "WARNING", "intercept_signals": False},
        "providers": {"enable_airflow_secrets": False},
        "data_writer": {
            "disable_compression": True,
            "buffer_max_items": job.source.page_size,
            # Tables of one resource need not all have the same columns.
            "arrow_concat_promote_options": "default",
        },
        "extract": {
            "workers": job.source.extract_parallelism,
            "max_parallel_items": max(20, job.source.extract_parallelism),
        },
        "normalize": {"parquet_normalizer": {"add_dlt_load_id": True, "add_dlt_id": True}},
        "load": {"truncate_staging_dataset": False},
    }
    naming = _naming(job, environ)
    if naming is not None:
        values["schema"] = {"naming": naming}
    for name in job.place.env_names:
        if name.startswith(_SOURCE_CONFIG_PREFIX) and name in environ:
            _set_nested(values, [part.lower() for part in name.split("__")], environ[name])
    return values


def _naming(job: Job, environ: Mapping[str, str]) -> str | None:
    """Return the naming convention that the DAG's author chose; None for dlt's own, which the destination may adapt.

    Raises:
        WorkflowError: there is none of that name.
    """
    chosen = next(
        (name for name in _NAMING_NAMES if name in job.place.env_names and environ.get(name, "").strip()), None
    )
    if chosen is None:
        return None
    naming = environ[chosen].strip().lower()
    if naming not in _NAMINGS:
        raise WorkflowError(
            f"{chosen} names no naming convention{did_you_mean(naming, _NAMINGS)}",
            expected=", ".join(_NAMINGS),
            found=redact_value(environ[chosen]),
            remedy="correct it in source_env, or leave it out",
        )
    return None if naming == "default" else naming


def _set_nested(values: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        child = values.setdefault(part, {})
        if not isinstance(child, dict):
            child = values[part] = {}
        values = child
    values[path[-1]] = value


def write_files(values: dict[str, Any], *, rows: int, compressed: bool) -> None:
    """Let dlt write load files as they suit the sink.

    What is extracted is not parted: dlt normalizes files in the order of their names, which it draws, and the first row
    it sees decides on the type of a column.

    Args:
        values: what `config_values` returned, in use.
        rows: the largest number of rows of a file.
        compressed: whether parquet files are compressed.
    """
    extracted = values["data_writer"]
    extracted["buffer_max_items"] = min(extracted["buffer_max_items"], rows)
    if not compressed:
        extracted["compression"] = "none"
    values.setdefault("normalize", {})["data_writer"] = {**extracted, "file_max_items": rows}


def empty_staging_afterwards(values: dict[str, Any]) -> None:
    """Let dlt empty the staging dataset after the load: it holds a copy of the rows of every table that is replaced.

    Only where something is staged: else dlt makes an empty staging dataset, which a later refresh stumbles over.

    Args:
        values: what `config_values` returned, in use.
    """
    values["load"]["truncate_staging_dataset"] = True


@contextmanager
def isolation(run_dir: str, values: dict[str, Any]) -> Iterator[None]:
    """Let dlt see `values` and nothing else for the time of the block.

    Args:
        run_dir: an existing, private folder; dlt's working files go there.
        values: what `config_values` returned.
    """
    # Not `switched_run_context`: it makes the default context first, which imports Airflow where it is installed.
    with Container().injectable_context(PluggableRunContext(IsolatedRunContext(run_dir, values))):
        yield


@contextmanager
def interval_context(start: datetime | None, end: datetime | None) -> Iterator[None]:
    """Let dlt know the run's interval for the time of the block; None in either place is no interval.

    It is there for incrementals that say `allow_external_schedulers=True`, and for `nilus.current.interval`.
    """
    interval = None if start is None or end is None else (start, end)
    with Container().injectable_context(external_interval(interval)):
        yield
