"""Asset events: one for every table that got rows.

A table that the DAG names in `outlets` gets its event as that asset; any other through the task's `AssetAlias`.
Airflow by itself gives every asset in `outlets` an event when the task succeeds, rows or not; those that stand for a
table of this run's schema are therefore taken out of the list when the run brought the table nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_nilus.reporting.run_report import Outcome

log = logging.getLogger(__name__)


def with_alias(outlets: list[Any], name: str) -> list[Any]:
    """Return the outlets, and an alias of that name unless the DAG's author gave one of his own.

    Args:
        outlets: what the author gave.
        name: of the alias.
    """
    return outlets if any(isinstance(outlet, AssetAlias) for outlet in outlets) else [*outlets, AssetAlias(name)]


def emit(outlets: Sequence[Any], outcome: Outcome, context: Context) -> list[Any]:
    """Tell Airflow which tables got rows.

    Args:
        outlets: the task's.
        outcome: what was loaded.
        context: of the task instance.

    Returns:
        The outlets less those assets that stand for a table that got nothing.
    """
    # Airflow writes URIs in a form of its own; comparing takes both sides in it.
    assets = {table: Asset(outcome.name(table).uri) for table, rows in outcome.rows.items() if rows}
    tables = {asset.uri: table for table, asset in assets.items()}
    schema = Asset(outcome.name("_").uri).uri.removesuffix("_")
    events: Any = context["outlet_events"]
    named = {outlet.uri for outlet in outlets if isinstance(outlet, Asset)}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            for uri in tables.keys() - named:
                _add(events[outlet], assets[tables[uri]], outcome.event_extra(tables[uri]))
        elif isinstance(outlet, Asset) and outlet.uri in tables:
            events[outlet].extra.update(outcome.event_extra(tables[outlet.uri]))
    kept = []
    for outlet in outlets:
        if isinstance(outlet, Asset) and outlet.uri.startswith(schema) and outlet.uri not in tables:
            log.info("No rows for %s: its asset gets no event", outlet.uri)
        else:
            kept.append(outlet)
    return kept


def _add(events: Any, asset: Asset, extra: dict[str, Any]) -> None:
    """Add an event: to the asset that DAGs know by this URI, whatever they named it, else to a new one.

    Airflow takes two assets of one URI and different names for different assets.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError

    # There is no such asset; or this Airflow takes no reference here, which its oldest versions say by the last two.
    unknown = (AirflowRuntimeError, AttributeError, TypeError)
    try:
        events.add(Asset.ref(uri=asset.uri), extra=extra)
    except unknown:
        events.add(asset, extra=extra)
