"""What a command line names: a workflow file, or a class in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nilus.authoring.local_run import FOLDER, LocalRun, root_of
from nilus.errors import WorkflowError
from nilus.values import address
from nilus.workflow.models import Workflow

_NO_REPOSITORY = "https://localhost/local"
_CHECKOUT_BYTES = 10_000_000_000


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to run, as it was given on the command line.

    Args:
        name: the path of a workflow document, or `custom://<ClassName>?…`.
        base_dir: the folder with the source's modules; None for the working directory, or for a workflow the folder
            its `repo` block names.
        step: which step of a manifest.
        sink: an address that takes the place of the workflow's; None for a DuckDB file of the source's own, where the
            workflow gives none that can be used without Airflow.
        source_options, sink_options: `key=value`, over those of the workflow.
    """

    name: str
    base_dir: Path | None = None
    step: str | None = None
    sink: str | None = None
    source_options: Sequence[str] = ()
    sink_options: Sequence[str] = ()

    def workflow(self) -> Workflow:
        """Return the workflow.

        Raises:
            WorkflowError: it cannot be read, or is not right.
        """
        overrides: dict[str, dict[str, Any]] = {
            "source": {"options": _pairs(self.source_options)},
            "sink": {"options": _pairs(self.sink_options)},
        }
        if self.sink is not None:
            overrides["sink"]["address"] = self.sink
        if not self.name.startswith("custom://"):
            text = _text(Path(self.name))
            parsed = Workflow.parse(text, overrides=overrides, step=self.step)
            if self.sink is None and parsed.sink.address.lower().startswith("dataos://"):
                overrides["sink"]["address"] = _own_file(parsed.source.address)
                parsed = Workflow.parse(text, overrides=overrides, step=self.step)
            return parsed
        overrides["repo"] = {"url": _NO_REPOSITORY}
        overrides["source"] = {
            "address": self.name,
            "options": {"source-table": "table", **_pairs(self.source_options)},
        }
        overrides["sink"]["options"] = {"dest-table": "main_data", **_pairs(self.sink_options)}
        overrides["sink"].setdefault("address", _own_file(self.name))
        return Workflow.parse(overrides=overrides)

    @contextmanager
    def local_run(self, **how: Any) -> Iterator[LocalRun]:
        """Give the run; a repository that has to be fetched stays for the time of the block.

        Args:
            how: `limit`, `resources`, `interval`, `environ`, `batching` of `LocalRun`.

        Raises:
            NilusError: the workflow is not right, or its repository cannot be had.
        """
        workflow = self.workflow()
        if self.base_dir is not None or workflow.repo.url == _NO_REPOSITORY:
            folder = (self.base_dir or Path()).resolve()
            checkout, commit = root_of(folder)
            yield LocalRun(workflow=workflow, base_dir=folder, checkout=checkout, commit=commit, **how)
            return
        from nilus import repository

        settings = repository.Settings(
            cache_dir=repository.default_cache_dir(),
            cache_max_bytes=_CHECKOUT_BYTES,
            allowed_protocols=("https", "ssh", "http", "file"),
        )
        repo = workflow.repo
        with repository.checkout(
            repo.url,
            repo.ref,
            settings=settings,
            depth=repo.depth,
            submodules=repo.submodules,
            filter=repo.filter,
            sparse_checkout_file=repo.sparse_checkout_file,
            timeout=repo.sync_timeout,
        ) as fetched:
            base_dir = repository.base_dir(fetched, repo.base_dir)
            yield LocalRun(workflow=workflow, base_dir=base_dir, checkout=fetched.path, commit=fetched.commit, **how)


def _own_file(source: str) -> str:
    return f"duckdb:///{(FOLDER / address.class_name(address.fold(source))).with_suffix('.duckdb')}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorkflowError(
            f"The workflow {path} cannot be read",
            expected="the path of a YAML document, or custom://<ClassName>",
            found=f"{type(error).__name__}: {error}",
            remedy="correct the path",
        ) from None


def _pairs(options: Sequence[str]) -> Mapping[str, str]:
    pairs = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key:
            raise WorkflowError(
                "An option on the command line cannot be read",
                expected="key=value, for example incremental-key=updated_at",
                found=repr(key),
                remedy="correct it",
            )
        pairs[key.strip()] = value
    return pairs
