"""The base classes of custom sources and destinations."""

from __future__ import annotations

import sys
from typing import Any

from nilus.class_resource import bind_decorated
from nilus.errors import DestinationError, SourceError


class CustomSource:
    """Base of every custom source; addressed as `custom://<ClassName>?…`.

    A source defines `nilus_source`, or `dlt_source`, its older spelling. Functions of the class that are decorated
    with `nilus.resource`, `nilus.transformer` or `nilus.source` may take `self`: they are bound to the instance
    through which they are reached.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bind_decorated(cls)

    def handles_incrementality(self) -> bool:
        """Tell whether the source keeps its own cursor in `nilus.current.resource_state()`."""
        return False

    def nilus_source(self, uri: str, table: str, **kwargs: Any) -> Any:  # noqa: ARG002
        """Return what is to be loaded: a source, a resource, or several resources.

        Args:
            uri: the address as it is written in the workflow, `{ENV}` filled in.
            table: the workflow's `source-table`.
            kwargs: `incremental_key`, `primary_key`, `merge_key`, `interval_start`, `interval_end`, `page_size`,
                `sql_…`, `extract_parallelism`, and every source option of the workflow that is not one of those.

        Raises:
            SourceError: the class does not define it.
        """
        raise SourceError(
            f"{_describe_class(type(self))} defines no nilus_source",
            expected="a method nilus_source(self, uri, table, **kwargs), or dlt_source, its older spelling",
            found="neither",
            remedy="define nilus_source and return a source or its resources from it",
        )


class CustomDestination:
    """Base of every custom destination; addressed as `custom://<ClassName>?…`."""

    def nilus_dest(self, uri: str, **kwargs: Any) -> Any:  # noqa: ARG002
        """Return a function decorated with `nilus.destination` that takes `(items, table)`.

        Raises:
            DestinationError: the class does not define it.
        """
        raise _undefined_method(type(self), "nilus_dest(self, uri, **kwargs)")

    def nilus_run_params(self, uri: str, table: str, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return `{"dataset_name": …, "table_name": …}` for the workflow's `dest-table`.

        Raises:
            DestinationError: the class does not define it.
        """
        raise _undefined_method(type(self), "nilus_run_params(self, uri, table, **kwargs)")

    def post_load(self) -> None:
        """Run after a load that succeeded; does nothing unless overridden."""


def _undefined_method(cls: type, method: str) -> DestinationError:
    return DestinationError(
        f"{_describe_class(cls)} defines no {method.partition('(')[0]}",
        expected=f"a method {method}",
        found="none",
        remedy="define it in the class",
    )


def _describe_class(cls: type) -> str:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
    return f"{cls.__qualname__} ({file})"
