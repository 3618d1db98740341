"""Names out of data that become parts of paths."""

from __future__ import annotations

import pytest

from nilus.errors import WorkflowError
from nilus.values.names import check_identifier, check_load_id
from nilus.workflow.models import Workflow


@pytest.mark.parametrize(
    "name",
    ["/etc", "a/../b", "a\\b", "%2e%2e", "a%2Fb", "a\nb", "a\0b", "", "x" * 600, "_airflow_loads", "_DLT_x", " _dlt_x"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        check_identifier(name)
    if name.strip():
        document = {
            "repo": {"url": "https://h/r"},
            "source": {"address": "custom://S", "options": {"source-table": "t"}},
            "sink": {"address": "duckdb:///a", "options": {"dest-table": name}},
        }
        with pytest.raises(WorkflowError, match="dest-table"):
            Workflow.parse(document)


@pytest.mark.parametrize("name", ["orders", "Bestellungen 2024", "größe", "100%", "_own", "airflow_loads", "a-b"])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert check_identifier(name) == name


@pytest.mark.parametrize("load_id", ["../1.5", "1.5/..", "/1.5", "", ".", "..", "1.5\n", "x" * 65, 1.5, None])
def test_a_load_id_is_one_part_of_a_path(load_id: object) -> None:
    with pytest.raises(ValueError, match="expected a load id"):
        check_load_id(load_id)
    assert check_load_id("1700000000.123456") == "1700000000.123456"
