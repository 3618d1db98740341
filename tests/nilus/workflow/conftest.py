"""A smallest valid workflow document, and what is changed in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nilus.errors import WorkflowError
from nilus.workflow.models import Workflow

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make() -> Make:
    """Return a function that makes a valid document with these keys added."""

    def document(
        *,
        repo: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        sink: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "repo": {"url": "https://git.example.com/team/sources", **(repo or {})},
            "source": {"address": "custom://Orders", "options": {"source-table": "orders", **(source or {})}},
            "sink": {"address": "duckdb:///out.duckdb", "options": {"dest-table": "raw", **(sink or {})}},
        }

    return document


@pytest.fixture
def problems() -> Callable[..., str]:
    """Return a function that parses what must be refused and returns the error's text."""

    def refused(*args: Any, **kwargs: Any) -> str:
        with pytest.raises(WorkflowError) as caught:
            Workflow.parse(*args, **kwargs)
        error: BaseException | None = caught.value
        assert error is not None
        assert error.__cause__ is None, "a cause would be printed with what it quotes"
        assert error.__context__ is None or error.__suppress_context__, "a context would be printed as well"
        return str(error)

    return refused
