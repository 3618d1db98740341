"""What OpenLineage is told of a run: the source, the code at its commit, the tables with their columns and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_nilus.reporting.run_report import Outcome


def facets(outcome: Outcome) -> OperatorLineage[Any, Any]:
    """Return the lineage of a run as far as it is known.

    Args:
        outcome: what the run did; of a run that failed, what it did until then.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=_inputs(outcome),
        outputs=_outputs(outcome) if outcome.loaded else [],
        job_facets=_code(outcome),
    )


def _inputs(outcome: Outcome) -> list[Any]:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    return [Dataset(namespace=outcome.source, name=outcome.source_table)] if outcome.source else []


def _outputs(outcome: Outcome) -> list[Any]:
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    outputs = []
    tables = outcome.loaded.tables if outcome.loaded else {}
    for table, rows in outcome.rows.items():
        known = outcome.name(table)
        fields = [
            SchemaDatasetFacetFields(name=column, type=kind, description=_note(column, outcome.masked))
            for column, kind in tables.get(table, {}).get("columns", {}).items()
        ]
        outputs.append(
            OutputDataset(
                namespace=known.namespace,
                name=known.name,
                facets={"schema": SchemaDatasetFacet(fields=fields)} if fields else {},
                outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=rows)},
            )
        )
    return outputs


def _note(column: str, masked: list[str]) -> str | None:
    """Say that a column is masked: by its name, or as a column that a masked path leads into."""
    heads = {path.partition(".")[0] for path in masked} | {path.replace(".", "__") for path in masked}
    return "masked" if column in heads else None


def _code(outcome: Outcome) -> dict[str, Any]:
    if not outcome.commit:
        return {}
    from openlineage.client.generated.source_code_location_job import SourceCodeLocationJobFacet

    from airflow_provider_nilus.reporting.links import commit_page

    facet = SourceCodeLocationJobFacet(
        type="git",
        url=commit_page(outcome.repository, outcome.commit) or outcome.repository,
        repoUrl=outcome.repository,
        path=outcome.base_dir,
        version=outcome.commit,
        branch=outcome.ref,
    )
    return {"sourceCodeLocation": facet}
