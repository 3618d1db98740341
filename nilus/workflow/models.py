"""The workflow document as models: which repository, which source in it, which sink.

`Workflow.parse` reads the documents that Nilus reads, in both spellings; docs/workflow.md has every key.
Nothing that these models or their errors show holds a secret: addresses and secret-looking options are redacted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nilus.values.interval import parse_instant
from nilus.values.redaction import redact_address, redact_options, without_parameter
from nilus.values.spelling import kebab
from nilus.workflow.columns import ColumnList, Masks, TypeHints
from nilus.workflow.document import load_document
from nilus.workflow.document_reader import Block, KnownKeys, Location, read_block
from nilus.workflow.fields import (
    Address,
    Count,
    Destination,
    FileFormat,
    Instant,
    OptionalText,
    PartitionType,
    PositiveCount,
    Reference,
    RelativePath,
    RepositoryUrl,
    Seconds,
    StagingBucket,
    Strategy,
    Submodules,
    Text,
    one_of,
)
from nilus.workflow.manifest import SECTIONS, find_block
from nilus.workflow.validation_errors import lines_of, workflow_error

_OPTION_OF_FIELD = {"table": "source-table", "strategy": "incremental-strategy"}


def _option(field: str) -> str:
    return _OPTION_OF_FIELD.get(field, kebab(field))


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=_option,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def keys(cls) -> frozenset[str]:
        """Return the keys of this block in kebab-case."""
        return frozenset(map(_option, cls.model_fields))

    def redacted(self) -> dict[str, Any]:
        """Return this block as the author would write it in kebab-case, defaults filled in, fit for display."""
        values = self.model_dump(by_alias=True, exclude_none=True)
        return {key: value for key, value in values.items() if value not in ([], {})}

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        return self.redacted().items()


class Repo(_Model):
    """The repository with the source.

    Args:
        url: where it is; no user info.
        ref: branch, tag or full commit hash; None is the remote's HEAD.
        base_dir: the folder of the source's modules, as written: relative to the checkout, or beginning with the
            last segment of the URL.
        depth: how many commits to fetch; 0 is all.
        submodules: whether to fetch submodules, and theirs.
        filter: git's filter for a partial clone, such as `blob:none`.
        sparse_checkout_file: path inside the repository of a file with sparse-checkout patterns.
        sync_timeout: seconds that fetching may take in all.
        secret_id: the name that the document has for the credential.
    """

    url: RepositoryUrl
    ref: Reference = None
    base_dir: RelativePath = "."
    depth: Count = 1
    submodules: Annotated[Submodules, one_of(Submodules)] = "off"
    filter: OptionalText = None
    sparse_checkout_file: RelativePath | None = None
    sync_timeout: Seconds = 120
    secret_id: OptionalText = None

    def redacted(self) -> dict[str, Any]:
        """See `_Model.redacted`."""
        return {**super().redacted(), "url": redact_address(self.url)}


class Source(_Model):
    """What to read. The attributes are those of the job's `SourceSpec`.

    `address` is exactly what was written. Interval ends are ISO 8601 with an offset. `sql` and `options` are
    handed to the source: the `sql-*` options and those that are not ours, keys in snake_case.
    """

    address: Address
    table: Text
    primary_key: ColumnList = Field(default_factory=list)
    incremental_key: OptionalText = None
    interval_start: Instant = None
    interval_end: Instant = None
    type_hints: TypeHints = Field(default_factory=dict)
    mask: Masks = Field(default_factory=dict)
    max_table_nesting: Count = 0
    page_size: PositiveCount = 50_000
    extract_parallelism: PositiveCount = 5
    yield_limit: PositiveCount | None = None
    sql: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("interval_end")
    @classmethod
    def _ends_after_its_start(cls, end: str | None, info: ValidationInfo) -> str | None:
        start = info.data.get("interval_start")
        if start and end and parse_instant(end) < parse_instant(start):
            raise ValueError(f"expected an end that is not before the start, found {end} before {start}")
        return end

    def spec_fields(self) -> dict[str, Any]:
        """Return the keyword arguments for the job's `SourceSpec`, plain JSON values."""
        values = self.model_dump()
        if "max_table_nesting" not in self.model_fields_set:
            values["max_table_nesting"] = None  # what the source says itself counts
        return values

    def redacted(self) -> dict[str, Any]:
        """See `_Model.redacted`; what is handed to the source is shown beside our own options."""
        options = super().redacted()
        del options["address"]
        for group in ("sql", "options"):
            options.pop(group, None)
        if self.mask:
            options["mask"] = {column: without_parameter(rule) for column, rule in self.mask.items()}
        for name, value in redact_options({**self.sql, **self.options}).items():
            options[kebab(name)] = value
        return {"address": redact_address(self.address), "options": options}


class Partition(_Model):
    """One entry of `partition-by`."""

    column: Text
    type: Annotated[PartitionType, one_of(PartitionType)]
    name: OptionalText = None
    index: Count | None = None
    bucket_count: PositiveCount | None = Field(default=None, validate_default=True)

    @field_validator("bucket_count")
    @classmethod
    def _goes_with_bucket(cls, count: int | None, info: ValidationInfo) -> int | None:
        if "type" not in info.data:
            return count
        if info.data["type"] == "bucket" and count is None:
            raise ValueError("missing, a partition of type bucket needs it")
        if info.data["type"] != "bucket" and count is not None:
            raise ValueError(f"only a partition of type bucket has it, found type {info.data['type']}")
        return count


class Sink(_Model):
    """Where to write. The attributes are those of the job's `SinkSpec`; the address is not resolved yet.

    `dataset` and `table` are the two parts of `dest_table`. `aws_region` and `aws_endpoint` belong to the
    credentials and override the connection's.
    """

    address: Address
    dest_table: Destination
    strategy: Annotated[Strategy, one_of(Strategy)] = "replace"
    full_refresh: bool = False
    partition_by: list[Partition] = Field(default_factory=list)
    cluster_by: ColumnList = Field(default_factory=list)
    loader_file_size: PositiveCount = 100_000
    loader_file_format: Annotated[FileFormat, one_of(FileFormat)] | None = None
    staging_bucket: StagingBucket = None
    aws_region: OptionalText = None
    aws_endpoint: OptionalText = None

    @property
    def dataset(self) -> str:
        """The schema."""
        return self.dest_table.partition(".")[0]

    @property
    def table(self) -> str | None:
        """The table of a `schema.table` destination, or None."""
        return self.dest_table.partition(".")[2] or None

    def spec_fields(self) -> dict[str, Any]:
        """Return the keyword arguments for the job's `SinkSpec`, without `display_address` and `credentials`.

        `address` is the one that was written: the caller puts the resolved one in its place.
        """
        values = self.model_dump(exclude={"dest_table", "partition_by", "aws_region", "aws_endpoint"})
        partitions = [partition.model_dump(exclude_none=True) for partition in self.partition_by]
        if "loader_file_size" not in self.model_fields_set:
            values["loader_file_size"] = None
        return {**values, "dataset": self.dataset, "table": self.table, "partition_by": partitions}

    def redacted(self) -> dict[str, Any]:
        """See `_Model.redacted`."""
        options = super().redacted()
        del options["address"]
        for key in ("staging-bucket", "aws-endpoint"):
            if key in options:
                options[key] = redact_address(options[key])
        return {"address": redact_address(self.address), "options": options}


_KNOWN = KnownKeys(
    repo=Repo.keys(),
    source=Source.keys() - {"address", "sql", "options"},
    sink=Sink.keys() - {"address"},
    partition=Partition.keys(),
)
_M = TypeVar("_M", bound=_Model)


class Workflow(_Model):
    """A workflow: one source out of one repository into one sink."""

    repo: Repo
    source: Source
    sink: Sink

    @classmethod
    def parse(
        cls,
        document: str | Mapping[str, Any] | None = None,
        *,
        overrides: Mapping[str, Mapping[str, Any] | None] | None = None,
        step: str | None = None,
    ) -> Self:
        """Read a workflow document and what overrides it.

        Args:
            document: YAML text or a mapping: a bare block or a manifest. None where `overrides` says everything.
            overrides: `repo`, `source`, `sink` in the same shape, either spelling. They win key by key, inside
                `options` as well; a sync flag counts as the key it stands for. A key that is None is not given.
            step: which step, where a `type: workflow` manifest has several of the nilus stack.

        Raises:
            WorkflowError: with every problem and its path; no value of an address is in its text.
        """
        found = find_block(load_document(document), step=step)
        block = read_block(found.block, _KNOWN, path=found.path)
        if overrides:
            given = {section: values for section, values in overrides.items() if values is not None}
            block.lay_over(read_block(given, _KNOWN, note=" (argument)"))
        prefix = f"{found.path}." if found.path else ""
        repo = _validate(Repo, "repo", block, prefix)
        source = _validate(Source, "source", block, prefix)
        sink = _validate(Sink, "sink", block, prefix)
        if source and sink and (conflict := _conflict(source, sink)):
            block.problems.append(f"{_path(block, ('sink', 'full-refresh'), prefix)}: {conflict}")
        if block.problems or repo is None or source is None or sink is None:
            raise workflow_error(block.problems)
        return cls(repo=repo, source=source, sink=sink)

    @model_validator(mode="after")
    def _has_no_conflict(self) -> Self:
        if conflict := _conflict(self.source, self.sink):
            raise ValueError(conflict)
        return self

    def redacted(self) -> dict[str, Any]:
        """Return the workflow as a plain bare document in kebab-case, defaults filled in, fit for display.

        Without secrets in it, `Workflow.parse` reads it back as an equal workflow.
        """
        return {section: getattr(self, section).redacted() for section in SECTIONS}


def _conflict(source: Source, sink: Sink) -> str | None:
    if sink.full_refresh and (source.interval_start or source.interval_end):
        return "drops the tables and the state and loads everything, so it cannot go with an interval; leave one out"
    return None


def _validate(model: type[_M], section: str, block: Block, prefix: str) -> _M | None:
    """Return the model of one section, or None where there are problems; they are added to those of `block`."""
    if section not in block.present:
        block.problems.append(f"{prefix}{section}: missing")
        return None
    try:
        return model.model_validate(block.section(section))
    except ValidationError as error:
        lines = lines_of(error, lambda location: _path(block, (section, *location), prefix))
        if section in block.unreadable:
            lines = [line for line in lines if not line.endswith(": missing")]
        block.problems += lines
        return None


def _path(block: Block, location: Location, prefix: str) -> str:
    if location[0] == "sink":
        location = tuple(kebab(part) if isinstance(part, str) else part for part in location)
    section, key, *_ = (*location, "")
    options = "options." if section != "repo" and key != "address" else ""
    return block.path(location, f"{prefix}{section}.{options}{key}")
