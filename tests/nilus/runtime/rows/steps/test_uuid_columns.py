"""Columns of UUIDs in Arrow tables."""

from __future__ import annotations

from uuid import UUID

import pyarrow as pa
import pytest

from nilus.runtime.rows.steps.frame_columns import _as_plain

IDS = [UUID(int=number * 10**30) if number % 7 else None for number in range(50)]
ALL = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one and one.bytes for one in IDS], pa.binary(16)))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [([ALL], IDS), ([ALL.slice(3, 20), ALL.slice(30)], IDS[3:23] + IDS[30:]), ([], [])],
    ids=["whole", "slices", "none"],
)
def test_a_column_of_uuids_becomes_texts_and_nulls_stay(chunks, expected):
    plain = _as_plain(pa.chunked_array(chunks, pa.uuid()), is_csv=False)
    assert plain.type == pa.string()
    assert plain.to_pylist() == [None if one is None else str(one) for one in expected]
