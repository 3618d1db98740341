"""The workflow document as models: which repository, which source in it, which sink.

`Workflow.parse` reads the documents that Nilus reads, in both spellings; see docs/workflow.md for every key.
Nothing that these models or their errors show holds a secret: addresses and secret-looking options are redacted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from nilus.block import Block, KnownKeys, read_block
from nilus.columns import ColumnList, Masks, TypeHints
from nilus.document import load_document
from nilus.errors import WorkflowError
from nilus.interval import parse_instant
from nilus.manifest import find_block
from nilus.redaction import HIDDEN, kind, redact_address, redact_options, shown
from nilus.spelling import did_you_mean, kebab
from nilus.sync_flags import parse_duration

Strategy = Literal["replace", "append", "merge", "delete+insert", "scd2", "none"]
FileFormat = Literal["parquet", "jsonl", "csv", "insert_values"]
Submodules = Literal["off", "shallow", "recursive"]
PartitionType = Literal["year", "month", "day", "hour", "bucket", "identity"]
