"""What Airflow may store and show of the operator's rendered fields: documents without secrets, as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = ("workflow", "repo", "source", "sink", "source_env")
"""The fields that may hold secrets."""


def redact_field(name: str, value: Any) -> Any:
    """Return what may be shown of one of `FIELDS`; of the environment the names alone."""
    from nilus.values.redaction import redact_options

    if name == "source_env":
        return dict.fromkeys(value, "***") if isinstance(value, Mapping) else "***"
    if isinstance(value, str):
        return _redacted_text(value)
    return _yaml(redact_options(value)) if isinstance(value, Mapping) else "***"


def _redacted_text(text: str) -> str:
    """Return a document's text without secrets; one that cannot be read is not shown at all."""
    from nilus.errors import NilusError
    from nilus.values.redaction import redact_options
    from nilus.workflow.document import load_document

    try:
        document = load_document(text)
    except NilusError:
        return "*** (a document that cannot be read)"
    return str(_yaml(redact_options(document)))


def _yaml(document: Any) -> Any:
    """Return the document's YAML; itself, if it holds what YAML has no word for."""
    import yaml

    try:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=float("inf"))
    except yaml.YAMLError:
        return document
