"""A destination of the source's own repository: `custom://ClassName`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dlt import Pipeline

from nilus.custom_source import CustomDestination
from nilus.errors import DestinationError, NilusError
from nilus.protocol.job import SinkSpec
from nilus.runtime.engine.failures import place
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.recovery.no_journal import no_journal
from nilus.runtime.sinks.base import Sink

if TYPE_CHECKING:
    from nilus.runtime.source.class_finder import FoundClass

_ENTRY_POINT = "nilus_dest"
_RUN_PARAMS = "nilus_run_params"


class CustomSink(Sink):
    """A class of the repository that defines `nilus_dest`; found the way sources are.

    What it does with rows is its own affair: each write disposition is handed to it in the table's schema. Nobody can
    take rows back from it, so that appending with state needs `at_least_once`.

    Args:
        spec: the validated `sink` block.
        find: finds the class that an address names.
    """

    name: ClassVar[str] = "custom"
    exactly_once: ClassVar[bool] = False
    merges_itself: ClassVar[bool] = True

    def __init__(self, spec: SinkSpec, find: Callable[[str], FoundClass] | None) -> None:
        super().__init__(spec)
        if find is None:
            raise DestinationError(
                "A custom destination cannot be reached without its repository",
                expected="a run, which has the repository",
                found=spec.display_address,
                remedy="run the task: there is nothing to test here",
            )
        self._find = find
        self._known: FoundClass | None = None

    @property
    def _find_class(self) -> FoundClass:
        if self._known is None:
            self._known = self._find(self.spec.address)
        return self._known

    def destination(self) -> Any:
        """Return what the class's `nilus_dest` returns; `spec` then names what its `nilus_run_params` says.

        Raises:
            SourceError: there is no such class.
            DestinationError: it is no destination, failed, or returned something else.
        """
        found = self._find_class
        if not hasattr(found.cls, _ENTRY_POINT):
            raise DestinationError(
                f"{found} is no custom destination",
                expected=f"a class with a method {_ENTRY_POINT}(self, uri, **kwargs)",
                found="a class without one",
                remedy="name a class that derives from nilus.CustomDestination in sink.address",
            )
        if self.spec.full_refresh:
            raise DestinationError(
                "full-refresh cannot be carried out by a custom destination",
                expected="a workflow without full-refresh",
                found="full-refresh: true",
                remedy="remove it, and empty the tables where they are",
            )
        made = self._call(found, _ENTRY_POINT, uri=self.spec.address)
        destination = self._to_destination(found, made)
        self._take(found)
        return destination

    @staticmethod
    def _to_destination(found: FoundClass, made: Any) -> Any:
        from dlt.common.destination import Destination

        with _named_errors(found, _ENTRY_POINT):
            destination = made() if callable(made) and not isinstance(made, Destination) else made
        if isinstance(destination, Destination):
            return destination
        raise DestinationError(
            f"{found}.{_ENTRY_POINT} returned no destination",
            expected="a function decorated with nilus.destination",
            found=f"a {type(made).__name__}",
            remedy="decorate the function that takes (items, table), and return it",
        )

    def _take(self, found: FoundClass) -> None:
        """Take dataset and table from the class, if it names any."""
        named = getattr(found.cls, _RUN_PARAMS, None)
        if named is None or named is vars(CustomDestination)[_RUN_PARAMS]:
            return
        spec = self.spec
        dest_table = f"{spec.dataset}.{spec.table}" if spec.table else spec.dataset
        params = self._call(found, _RUN_PARAMS, uri=spec.address, table=dest_table)
        if not isinstance(params, dict) or not set(params) <= {"dataset_name", "table_name"}:
            raise DestinationError(
                f"{found}.{_RUN_PARAMS} returned what cannot be used",
                expected='{"dataset_name": …, "table_name": …}',
                found=f"the keys {', '.join(map(str, params))}" if isinstance(params, dict) else type(params).__name__,
                remedy="return these two names",
            )
        self.spec = replace(
            spec,
            dataset=str(params.get("dataset_name") or spec.dataset),
            table=params.get("table_name") or None,
        )

    def _call(self, found: FoundClass, method: str, **arguments: Any) -> Any:
        """Call a method with what else it takes of the sink's options."""
        with _named_errors(found, method):
            function = getattr(found.instance(), method)
            options = {
                "dest_table": self.spec.dataset,
                "incremental_strategy": self.spec.strategy,
                "loader_file_size": self.file_rows,
            }
            parameters = inspect.signature(function).parameters
            takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            return function(
                **arguments, **{name: value for name, value in options.items() if takes_all or name in parameters}
            )

    def file_format(self, destination: Any) -> str | None:
        """See `Sink`; `jsonl` is what dlt calls typed-jsonl here."""
        if self.spec.loader_file_format == "jsonl":
            return "typed-jsonl"
        return super().file_format(destination)

    def dataset(self, pipeline: Pipeline) -> str:
        """Return the name of the dataset; what it means is the class's affair."""
        return str(pipeline.dataset_name)

    def journal(self, pipeline: Pipeline) -> Journal:  # noqa: ARG002 - there is none
        """Return a journal that keeps nothing."""
        return no_journal()

    def after_load(self) -> None:
        """Call the class's `post_load`.

        Raises:
            DestinationError: it failed; the rows are loaded.
        """
        found = self._find_class
        if hasattr(found.cls, "post_load"):
            with _named_errors(found, "post_load"):
                found.instance().post_load()


@contextmanager
def _named_errors(found: FoundClass, method: str) -> Iterator[None]:
    """Turn what the class raises into an error that names it."""
    try:
        yield
    except NilusError:
        raise
    except (Exception, SystemExit) as error:
        at = place(error, found.checkout)
        raise DestinationError(
            f"{found}.{method} failed{f' at {at}' if at else ''}: {type(error).__name__}: {str(error).strip()}",
            expected=f"{method} to return",
            found=type(error).__name__,
            remedy="see the traceback above; correct the class, or run the task again if what it needs was unavailable",
            retryable=True,
        ) from error
