"""Sinks: an address becomes a dlt destination, its journal and what it can do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks.base import Sink
from nilus.values.schemes import SCHEMES, scheme_name

if TYPE_CHECKING:
    from nilus.runtime.source.class_finder import FoundClass


def sink(spec: SinkSpec, *, find: Callable[[str], FoundClass] | None = None) -> Sink:
    """Return the sink of an address.

    Args:
        spec: the validated `sink` block.
        find: finds the class that an address names; None where there is no repository.

    Raises:
        DestinationError: no sink knows the address's scheme.
    """
    scheme = scheme_name(spec.address)
    if scheme == "custom":
        from nilus.runtime.sinks.custom import CustomSink

        return CustomSink(spec, find)
    known = SCHEMES.get(scheme)
    if known is None:
        raise DestinationError(
            f"No sink knows the address {spec.display_address}",
            expected=f"an address that begins with one of {', '.join(f'{name}://' for name in sorted(SCHEMES))}",
            found=f"{scheme}://" if "://" in spec.address else "an address without ://",
            remedy="correct sink.address; dataos://<connection id> takes the address from an Airflow connection",
        )
    module, _, name = known.sink.partition(":")
    made: Sink = getattr(importlib.import_module(f"{__name__}.{module}"), name)(spec)
    return made
