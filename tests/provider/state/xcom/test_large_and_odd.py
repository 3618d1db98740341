"""Large states and odd keys, in both stores."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_nilus.state.commands import stored_records

ODD_KEY = "größe / 日本 'x'; \"y\" " + "z" * 230


@pytest.mark.parametrize("state", ["variable", pytest.param("xcom", marks=pytest.mark.soak)])
def test_five_megabytes_under_an_odd_key_of_250_characters_work_and_warn(state, numbers, caplog):
    assert len(ODD_KEY) == 250
    dag = numbers.dag(state=state, state_key=ODD_KEY)
    (numbers.folder / "weight").write_text("5000000")
    with caplog.at_level(logging.WARNING):
        numbers.run(dag, 1, 10)
    assert any("every run reads and writes all of it" in record.getMessage() for record in caplog.records)
    numbers.run(dag, 2, 20)
    numbers.holds(20)
    found = stored_records.find(ODD_KEY)
    assert found.size > 5_000_000
    assert (found.key, found.record.version) == (ODD_KEY, 2)
    assert json.dumps(found.record.state).count('"last": 20') == 1


@pytest.mark.soak
def test_a_renamed_dag_goes_on_with_the_key_of_the_old_one(numbers):
    numbers.run(numbers.dag(), 1, 10)
    numbers.run(numbers.dag("renamed", state_key="d.load"), 1, 20)
    numbers.holds(20)
    assert stored_records.find("d.load").record.version == 2
