"""A run that took its rows back and died: whoever comes next loads them, in both stores."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("state", ["variable", pytest.param("xcom", marks=pytest.mark.soak)])
def test_a_rerun_that_dies_after_its_rows_were_removed_is_made_good_by_the_next_run(state, numbers):
    dag = numbers.dag(state=state)
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    (numbers.folder / "fail").touch()
    assert numbers.again(dag, 2, 20).states == {"load": "failed"}
    numbers.holds(10)
    (numbers.folder / "fail").unlink()
    assert numbers.run(dag, 3, 30).states == {"load": "success"}
    numbers.holds(30)


@pytest.mark.soak
def test_a_rewind_that_dies_after_it_removed_rows_of_later_runs_is_made_good_by_the_next_run(numbers):
    dag = numbers.dag(state="xcom", on_rerun="rewind")
    for day, upto in ((1, 10), (2, 20), (3, 30)):
        numbers.run(dag, day, upto)
    (numbers.folder / "fail").touch()
    assert numbers.again(dag, 2, 30).states == {"load": "failed"}
    numbers.holds(10)
    (numbers.folder / "fail").unlink()
    numbers.run(dag, 4, 40)
    numbers.holds(40)
