"""What each mask makes of a value: in the documentation's words, in every process, for every kind of row."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import documented_table
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nilus.errors import SourceError
from nilus.runtime.rows.masks.algorithms import algorithm
from nilus.runtime.rows.masks.frames import mask_frame
from nilus.values.mask_rule import ALGORITHMS, parse

BERLIN = timezone(timedelta(hours=2))
EXAMPLES = {
    "hash": ["mia@example.com", 42],
    "sha256": ["mia@example.com"],
    "md5": ["mia@example.com"],
    "hmac:key-of-yours": ["mia@example.com"],
    "redact": ["mia@example.com", 42],
    "email": ["mia@example.com", "no address"],
    "phone": ["+49 30 1234567", "110"],
    "credit_card": ["4111 1111 1111 1111"],
    "ssn": ["123-45-6789"],
    "partial": ["Marianne", "Mia"],
    "partial:1": ["Marianne", 40213],
    "first_letter": ["Marianne"],
    "stars": ["Marianne"],
    "fixed:GONE": ["Marianne", 42],
    "round": [52347, 52345.67],
    "round:1000": [52347, Decimal("52345.67"), "52347"],
    "range:1000": [52347, -1],
    "date_shift:30": [date(2024, 1, 31), datetime(2024, 1, 31, 12, 30, tzinfo=UTC), "2024-01-31"],
    "year_only": [date(2024, 1, 31)],
    "month_year": [date(2024, 1, 31)],
}
UNPREDICTABLE = {
    "uuid": ["mia@example.com"],
    "sequential": ["mia@example.com", "max@example.com", "mia@example.com"],
    "random": ["Marianne", 52347, Decimal("52.30"), 1.5],
    "noise:0.1": [1000, Decimal("52.30")],
}
DETERMINISTIC = [rule for rule in EXAMPLES if not rule.startswith("fixed")]


def mask(rule, value, run_key=b"k" * 32):
    return algorithm(parse(rule), run_key).mask(value)


def written(value):
    return f"`{value}`" if isinstance(value, date | Decimal) else f"`{value!r}`"


def test_every_algorithm_has_examples():
    assert {rule.partition(":")[0] for rule in (*EXAMPLES, *UNPREDICTABLE)} == set(ALGORITHMS)


def test_the_page_shows_what_each_mask_makes_of_its_examples():
    rows = [
        [f"`{rule}`", written(value), written(mask(rule, value))]
        for rule, values in EXAMPLES.items()
        for value in values
    ]
    documented_table.compare("masks.md", "examples", ["mask", "value", "what is loaded"], rows)


SCRIPT = """
import json, sys
from nilus.values.mask_rule import parse
from nilus.runtime.rows.masks.algorithms import algorithm
print(json.dumps({rule: str(algorithm(parse(rule), b"k" * 32).mask(value)) for rule, value in json.load(sys.stdin)}))
"""


@pytest.mark.parametrize("seed", ["1", "77"])
def test_deterministic_masks_are_the_same_in_every_process(seed):
    values = [
        (rule, next(value for value in EXAMPLES[rule] if isinstance(value, int | str)))
        for rule in DETERMINISTIC
        if any(isinstance(value, int | str) for value in EXAMPLES[rule])
    ]
    values += [("date_shift:30", "2024-01-31"), ("year_only", "2024-01-31"), ("month_year", "2024-01-31")]
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(values),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == {rule: str(mask(rule, value)) for rule, value in values}


SAME = {
    "number": [5, 5.0, Decimal("5"), Decimal("5.00"), np.int64(5), np.float32(5), "5"],
    "fraction": [0.1, Decimal("0.1"), Decimal("0.100"), "0.1"],
    "instant": [
        datetime(2024, 1, 1, 0, 30, tzinfo=BERLIN),
        datetime(2023, 12, 31, 22, 30, tzinfo=UTC),
        datetime(2023, 12, 31, 22, 30),
        pd.Timestamp("2023-12-31T22:30:00Z"),
        np.datetime64("2023-12-31T22:30:00"),
    ],
    "uuid": [UUID(int=7), str(UUID(int=7))],
    "bytes": [b"\x01", bytearray(b"\x01"), memoryview(b"\x01")],
    "nested": [{"b": [1, None], "a": Decimal("2.0")}, OrderedDict(a=2, b=(1.0, float("nan")))],
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
@pytest.mark.parametrize("rule", ["hash", "hmac:key", "uuid"])
def test_a_value_has_one_mask_whatever_type_it_comes_in(masks, rule, values):
    columns = masks({"c": rule})
    assert len({columns.row({"c": value})["c"] for value in values}) == 1


def test_dates_in_another_time_zone_are_those_of_utc(masks):
    row = {"y": SAME["instant"][0], "m": SAME["instant"][0]}
    assert masks({"y": "year_only", "m": "month_year"}).row(row) == {"y": 2023, "m": "2023-12"}


@pytest.mark.parametrize("missing", [None, float("nan"), Decimal("NaN"), pd.NaT, pd.NA, np.nan, np.datetime64("NaT")])
@pytest.mark.parametrize("rule", [*EXAMPLES, *UNPREDICTABLE])
def test_what_is_missing_stays_missing(masks, rule, missing):
    assert masks({"c": rule}).row({"c": missing}) == {"c": None}


@pytest.mark.parametrize("rule", ["round", "range", "noise", "date_shift", "year_only", "month_year"])
def test_a_blank_text_is_no_number_and_no_date_and_is_missing(masks, rule):
    assert masks({"c": rule}).row({"c": " "}) == {"c": None}


NUMBER, TEXT, DAY = 987654321, "Marianne-secret", date(1987, 6, 5)
MISFITS = [
    *[(rule, value) for rule in ("email",) for value in (NUMBER, DAY, b"Marianne")],
    *[(rule, value) for rule in ("phone", "credit_card", "ssn") for value in (98765.4321, DAY, True, b"987654321")],
    *[(rule, value) for rule in ("partial", "first_letter", "stars") for value in (True, DAY, b"x1", {"a": TEXT})],
    *[(rule, value) for rule in ("round", "range", "noise") for value in (TEXT, True, DAY, b"9", {"a": 1})],
    *[
        (rule, value)
        for rule in ("date_shift", "year_only", "month_year")
        for value in (TEXT, NUMBER, "05.06.1987", time(9))
    ],
    *[(rule, value) for rule in ("random",) for value in (True, DAY, b"987654321")],
    ("range", float("inf")),
    ("date_shift:1000000000", date(9999, 12, 31)),
    ("hash", object()),
]


@pytest.mark.parametrize(("rule", "value"), MISFITS)
def test_a_value_that_a_mask_does_not_fit_fails_with_column_and_type_and_without_the_value(masks, rule, value):
    with pytest.raises(SourceError, match=r"'client\.name' cannot be masked") as caught:
        masks({"client.name": rule}).row({"client": [{"name": value}]})
    text = "".join(traceback.format_exception(caught.value))
    assert type(value).__name__ in text
    for secret in ("987654", "98765.4321", "Marianne", "1987", "9999-12"):
        assert secret not in text


def test_nothing_of_a_text_is_left_but_what_the_name_says(masks):
    for rule, length in (("partial:3", 6), ("first_letter", 1), ("email", 4), ("email", 2), ("stars", 9)):
        value = "x" * length
        assert set(masks({"c": rule}).row({"c": value})["c"]) <= {"*"}, rule
    assert masks({"c": "email"}).row({"c": "a@b@example.com"}) == {"c": "a*b@example.com"}


def test_a_shifted_date_is_never_the_date_itself_and_never_further_away_than_asked():
    for offset in range(400):
        day = date(2024, 1, 1) + timedelta(days=offset)
        for most in (1, 7):
            assert 1 <= abs((mask(f"date_shift:{most}", day) - day).days) <= most


def test_rows_of_a_day_are_shifted_alike_and_keep_their_time():
    moment = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
    shifted = mask("date_shift:30", moment)
    assert shifted.time() == moment.time()
    assert shifted.date() == mask("date_shift:30", moment.date())
    assert mask("date_shift:30", "2024-01-31") == shifted.date().isoformat()


def test_rounding_is_exact():
    assert mask("round:10", 2**62 + 5) == (2**62 + 5) // 10 * 10 + 10
    assert mask("round:10", Decimal("14.99")) == Decimal("10.00")
    assert mask("round:10", -14) == -10
    assert [mask("round:10", value) for value in (5, 15, 25)] == [0, 20, 20]
    assert [type(mask("round:10", value)) for value in (5, 5.0, Decimal(5), "5")] == [int, float, Decimal, str]


def test_tokens_are_the_same_in_a_run_and_others_in_the_next(masks):
    first, again, other = masks({"a": "uuid", "b": "uuid"}), masks({"a": "uuid"}), masks({"a": "uuid"}, b"o" * 32)
    row = first.row({"a": "mia", "b": "mia"})
    assert row["a"] == row["b"] == again.row({"a": "mia"})["a"] != other.row({"a": "mia"})["a"]
    assert UUID(row["a"]).version == 4


def test_numbers_are_given_in_the_order_in_which_values_come(masks):
    columns = masks({"c": "sequential"})
    assert [columns.row({"c": value})["c"] for value in ("x", "y", "x", None, 3, 3.0)] == [1, 2, 1, None, 3, 3]


def test_random_values_have_the_form_of_what_they_replace():
    assert re.fullmatch("[A-Za-z0-9]{20}", mask("random", "x" * 20))
    assert mask("random", "x" * 20) != mask("random", "x" * 20)
    assert 10_000 <= mask("random", 54321) <= 99_999
    assert mask("random", Decimal("5.00")).as_tuple().exponent == -2
    assert 0 <= mask("random", 1.5) <= 3


def test_noise_stays_within_its_level():
    for value in (10**6, -(10**6), 1e6, Decimal("1000000.00")):
        found = [mask("noise:0.1", value) for _ in range(50)]
        assert all(abs(one - value) <= abs(value) / 10 + 1 for one in map(type(value), found))
        assert len(set(found)) > 10
        assert {type(one) for one in found} == {type(value)}


ARROW = {
    "int8": (pa.array([120, None], pa.int8()), "round:1000", pa.int64()),
    "uint64": (pa.array([2**64 - 2, None], pa.uint64()), "round:1", pa.uint64()),
    "float32": (pa.array([1.5, float("nan")], pa.float32()), "noise", pa.float64()),
    "decimal": (pa.array([Decimal("99.99"), None], pa.decimal128(4, 2)), "round:1000", pa.decimal128(38, 2)),
    "timestamp ns": (pa.array([10**18 + 1, None], pa.timestamp("ns")), "date_shift", pa.timestamp("us")),
    "timestamp zone": (
        pa.array([10**9, None], pa.timestamp("s", "Europe/Berlin")),
        "date_shift",
        pa.timestamp("s", "Europe/Berlin"),
    ),
    "date": (pa.array([1, None], pa.date64()), "date_shift", pa.date32()),
    "dictionary": (pa.array(["a", None]).dictionary_encode(), "hash", pa.string()),
    "nulls": (pa.nulls(2), "hash", pa.string()),
    "large text": (pa.array(["a", None], pa.large_string()), "date_shift", None),
    "list": (pa.array([["a"], None], pa.large_list(pa.string())), "sequential", pa.list_(pa.int64())),
    "map": (pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())), "hash", pa.string()),
    "uuid": (pa.array([b"x" * 16, None], pa.uuid()), "hash", pa.string()),
}


@pytest.mark.parametrize(("column", "rule", "kind"), ARROW.values(), ids=ARROW)
def test_a_masked_column_of_a_table_has_the_type_of_what_comes_out(masks, column, rule, kind):
    for make in (pa.table, pa.RecordBatch.from_pydict):
        table = make({"c": column, "d": pa.array([1, 2])})
        if kind is None:
            with pytest.raises(SourceError, match="'c' cannot be masked by date_shift"):
                mask_frame(table, masks({"c": rule}))
            continue
        masked = mask_frame(table, masks({"c": rule}))
        assert type(masked) is type(table)
        assert masked.schema.field("c").type == kind
        assert masked.column("c").to_pylist()[1] is None
        assert (masked.column("c").to_pylist()[0] is None) is (column.null_count == 2)
        assert mask_frame(table.slice(0, 0), masks({"c": rule})).schema == masked.schema
