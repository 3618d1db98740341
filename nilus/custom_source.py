"""The base classes of custom sources and destinations."""

from __future__ import annotations

from typing import Any

from nilus.errors import DestinationError, SourceError


class CustomSource:
    """Base of every custom source; addressed as `custom://<ClassName>?…`.

    A source defines `nilus_source` (or `dlt_source`, its older spelling). Functions of the class that are decorated
    with `nilus.resource`, `nilus.transformer` or `nilus.source` may take `self`: they are bound to the instance they
    are reached through.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

    def handles_incrementality(self) -> bool:
        """Tell whether the source keeps its own cursor in `nilus.current.resource_state()`."""
        return False

    def nilus_source(self, uri: str, table: str, **kwargs: Any) -> Any:
        """Return what is to be loaded: a source, a resource, or several resources.

        Args:
            uri: the address as the workflow has it, `{ENV}` filled in.
            table: the workflow's `source-table`.
            kwargs: the other source options; see the documentation of the workflow.

        Raises:
            SourceError: the class does not define it.
        """
        raise SourceError(f"{type(self).__qualname__} defines neither nilus_source nor dlt_source")


class CustomDestination:
    """Base of every custom destination; addressed as `custom://<ClassName>?…`."""

    def nilus_dest(self, uri: str, **kwargs: Any) -> Any:
        """Return a function decorated with `nilus.destination` that takes `(items, table)`.

        Raises:
            DestinationError: the class does not define it.
        """
        raise DestinationError(f"{type(self).__qualname__} does not define nilus_dest")

    def nilus_run_params(self, uri: str, table: str, **kwargs: Any) -> dict[str, Any]:
        """Return `{"dataset_name": …, "table_name": …}` for the workflow's `dest-table`.

        Raises:
            DestinationError: the class does not define it.
        """
        raise DestinationError(f"{type(self).__qualname__} does not define nilus_run_params")

    def post_load(self) -> None:
        """Run after a load that succeeded; does nothing unless overridden."""
