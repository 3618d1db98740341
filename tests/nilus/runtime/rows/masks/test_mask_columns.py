"""Which values of a row a mask means, on rows in memory."""

from __future__ import annotations

import pytest

from nilus.errors import SourceError, WorkflowError

ADDRESS = {"address.street": "fixed:x", "address.city": "fixed:x"}


def test_the_row_of_the_source_is_not_changed(masks):
    row = {"mail": "a@b", "address": {"street": "s"}}
    assert masks({"mail": "fixed:x", "address.street": "fixed:x"}).row(row) == {"mail": "x", "address": {"street": "x"}}
    assert row == {"mail": "a@b", "address": {"street": "s"}}


def test_text_beside_all_of_its_flattened_columns_is_left_and_they_are_masked(masks):
    row = {"address": "whole", "address__street": "s", "address__city": "c"}
    columns = {"address__street": "fixed:x", "address__city": "fixed:x"}
    assert masks(columns).row(row) == {"address": "whole", "address__street": "x", "address__city": "x"}


@pytest.mark.parametrize("there", [["address__street"], ["address__city"], []])
def test_text_beside_only_some_of_its_flattened_columns_is_refused(there, masks):
    row = {"address": "whole", **dict.fromkeys(there, "s")}
    with pytest.raises(SourceError, match="cannot be masked: what it should be in is not nested"):
        masks({"address__street": "fixed:x", "address__city": "fixed:x"}).row(row)


def test_each_of_a_list_is_masked_and_nothing_stays_nothing(masks):
    row = {"address": [{"street": "a", "zip": 1}, {"street": None}, None]}
    assert masks(ADDRESS).row(row) == {"address": [{"street": "x", "zip": 1}, {"street": None}, None]}


@pytest.mark.parametrize(
    "columns", [{"a": "hash", "A": "md5"}, {"a": "hash", "a.b": "md5"}, {"a.b": "hash", "a__b": "md5"}]
)
def test_two_masks_of_one_column_are_refused(columns, masks):
    with pytest.raises(WorkflowError, match="twice"):
        masks(columns)
