"""The types of the workflow models' fields: what a YAML author may write for each."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from nilus.values.interval import parse_instant
from nilus.values.names import RESERVED_PREFIXES, check_identifier
from nilus.values.redaction import kind, redact_value
from nilus.values.spelling import did_you_mean, snake
from nilus.workflow.sync_flags import parse_duration
from nilus.workflow.template_values import TemplatedText

Strategy = Literal["replace", "append", "merge", "delete+insert", "scd2", "none"]
FileFormat = Literal["parquet", "jsonl", "csv", "insert_values"]
Submodules = Literal["off", "shallow", "recursive"]
PartitionType = Literal["year", "month", "day", "hour", "bucket", "identity"]

_STAGING_SCHEMES = ("gs://", "s3://", "az://")


def one_of(literal: object) -> BeforeValidator:
    """Return a validator for the words of a `Literal`; case and `-` or `_` do not count, a miss names the nearest."""
    words: tuple[str, ...] = get_args(literal)
    by_fold = {snake(word): word for word in words}

    def check(value: object) -> str:
        folded = snake(value.strip().lower()) if isinstance(value, str) else ""
        if folded in by_fold:
            return by_fold[folded]
        raise ValueError(
            f"expected one of {', '.join(words)}, found {redact_value(value)}{did_you_mean(folded, words)}"
        )

    return BeforeValidator(check)


def _as_text(value: object) -> object:
    """Turn a number into text: YAML has no other way to write a name of digits without quotes."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _strip(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("is empty")
    return text


def _not_blank(text: str) -> str:
    _strip(text)
    return text


def written_placeholders(value: object) -> object:
    """Refuse a `{NAME}` that a template gave: what is filled in is the document's to say, not a value's."""
    if isinstance(value, TemplatedText) and value.placeholders:
        raise ValueError(
            f"holds {', '.join(value.placeholders)} out of a template, and only placeholders that the document itself "
            "has are filled; write it into the document, or %7B and %7D for braces that belong to the address"
        )
    return value


def _text_or_nothing(value: object) -> object:
    value = _as_text(value)
    return (value.strip() or None) if isinstance(value, str) else value


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {redact_value(value)}")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _reference(value: object) -> object:
    value = _as_text(value)
    if not isinstance(value, str):
        return value
    name = _strip(value)
    return None if name == "HEAD" else name


def _without_user_info(url: str) -> str:
    """Refuse credentials in a URL. A bare SSH user (`git@host:path`, `ssh://git@host/path`) is none."""
    scheme, mark, rest = url.partition("://")
    ssh = not mark or "ssh" in scheme.lower()
    authority = re.split(r"[/?#]", rest if mark else url.lstrip("/"), maxsplit=1)[0]
    user_info, at, _ = authority.rpartition("@")
    # A password may hold a `/`, `?` or `#` of its own: then the `@` comes after what looks like a port and is none.
    _, colon, port = authority.rpartition(":")
    cut_password = bool(mark and colon and "@" in rest and not at and not port.isdecimal())
    if cut_password or (at and (":" in user_info or not ssh)):
        raise ValueError(
            "holds user info, which would be seen by everyone who sees the workflow; "
            "put it into an Airflow `git` connection and name that in git_conn_id"
        )
    return url


def _relative_path(value: object) -> object:
    value = _as_text(value)
    if not isinstance(value, str):
        return value
    path = PurePosixPath(value.strip())
    if path.is_absolute() or ".." in path.parts or "\\" in value or not value.isprintable():
        raise ValueError(
            f"expected a path inside the repository, without .. and backslash, found {redact_value(value)}"
        )
    return str(path)


def _seconds(value: object) -> object:
    _no_boolean(value)
    return parse_duration(value) if isinstance(value, str) else value


def _instant(value: object) -> object:
    value = _text_or_nothing(value)
    if value is None:
        return None
    if not isinstance(value, str | dt.date):
        raise ValueError(f"expected a date or a time in ISO 8601, found {kind(value)}")  # noqa: TRY004
    try:
        return parse_instant(value).isoformat()
    except ValueError:
        raise ValueError(
            f"expected a date like 2024-01-31 or a time in ISO 8601 like 2024-01-31T15:00:00+00:00, "
            f"found {redact_value(value)}"
        ) from None


def _destination(text: str) -> str:
    parts = [part.strip() for part in text.split(".")]
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"expected schema or schema.table, found {redact_value(text)}")
    try:
        return ".".join(map(check_identifier, parts))
    except ValueError:
        # Of the whole: the parts of an address, which somebody may have written here, show its password.
        raise ValueError(
            "expected names without /, \\, %-escapes and control characters that do not begin with "
            f"{_either(RESERVED_PREFIXES)}, found {redact_value(text)}"
        ) from None


def _staging_bucket(text: str | None) -> str | None:
    if text is not None and not text.startswith(_STAGING_SCHEMES):
        raise ValueError(
            f"expected an address that begins with {_either(_STAGING_SCHEMES)}, found {redact_value(text)}"
        )
    return text


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


Text = Annotated[str, BeforeValidator(_as_text), AfterValidator(_strip)]
OptionalText = Annotated[str | None, BeforeValidator(_text_or_nothing)]
Address = Annotated[str, BeforeValidator(written_placeholders), AfterValidator(_not_blank)]
RepositoryUrl = Annotated[str, AfterValidator(_strip), AfterValidator(_without_user_info)]
Reference = Annotated[str | None, BeforeValidator(_reference)]
RelativePath = Annotated[str, BeforeValidator(_relative_path)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
PositiveCount = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1)]
Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0)]
Instant = Annotated[str | None, BeforeValidator(_instant)]
Destination = Annotated[Text, AfterValidator(_destination)]
StagingBucket = Annotated[OptionalText, AfterValidator(_staging_bucket)]
