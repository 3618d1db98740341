"""The kit for sources passes those that keep what they should, and finds those that do not."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

GOOD = """
import nilus

ROWS = [{"id": n, "at": f"2026-01-0{n}T00:00:00Z"} for n in range(1, 6)]

@nilus.resource(write_disposition="append")
def orders():
    state = nilus.current.resource_state()
    since = state.get("at", "")
    for row in ROWS:
        if row["at"] > since:
            yield row
            state["at"] = row["at"]

class Shop(nilus.CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return orders
"""

BROKEN = {
    "test_a_first_run_loads_rows": GOOD.replace("range(1, 6)", "range(0)"),
    "test_a_second_run_reads_only_what_is_new": GOOD.replace('row["at"] > since', "True"),
    "test_a_state_of_far_future_cursors_reads_nothing_and_breaks_nothing": GOOD.replace(
        'row["at"] > since', 'row["at"] > since or since > "2030"'
    ),
    "test_every_checkpoint_can_be_restarted_from": GOOD.replace(
        'state["at"] = row["at"]',
        'state["at"] = row["at"]\n            state["at_once"] = str(object())',
    ),
    "test_columns_and_their_types_are_stable": GOOD.replace('"at": f', '"kind": n if n < 3 else "late", "at": f'),
    "test_the_state_serialises_and_stays_small": GOOD.replace(
        'state["at"] = row["at"]', 'state["at"] = row["at"]\n            state["seen"] = "x" * 2_000_000'
    ),
    "test_nothing_that_looks_like_a_secret_is_printed": GOOD.replace(
        "    state = nilus", "    print('token ghp_' + 'a' * 36)\n    state = nilus"
    ),
}

TESTS = """
from pathlib import Path
from nilus.testing import SourceTests

class TestShop(SourceTests):
    base_dir = Path(__file__).parent / "source"
    address = "custom://Shop"
"""


@pytest.fixture
def outcome(pytester):
    def run(source, *arguments):
        folder = pytester.mkdir("source")
        (folder / "shop.py").write_text(source)
        pytester.makepyfile(test_shop=TESTS)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
        return {
            line.partition(" ")[0].rpartition("::")[2]
            for line in (text.partition("FAILED ")[2] for text in result.outlines)
            if line
        }, result

    return run


def test_a_source_that_keeps_what_it_should_passes(outcome):
    failed, result = outcome(GOOD)
    assert failed == set()
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize("promise", BROKEN)
def test_a_source_that_breaks_a_promise_is_found(outcome, promise):
    failed, _ = outcome(BROKEN[promise], "-k", promise)
    assert promise in failed
