"""The address of a custom source."""

from __future__ import annotations

import pytest

from nilus.errors import SourceError
from nilus.values import address


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("custom://MyCustomSource?param1=value1", "MyCustomSource"),
        ("custom://MyCustomSource", "MyCustomSource"),
        ("custom://mySOURCE_2/?a=b", "mySOURCE_2"),
        ("CUSTOM://Källa#x", "Källa"),
        ("custom://X?url=https://user@host/p?a=b&c=custom://Y", "X"),
        ("custom://X?filter=[1,2]", "X"),
        ("  custom://X?a=1\n  &b=2\n", "X"),
    ],
)
def test_the_class_is_the_netloc_with_its_case_kept(written: str, name: str) -> None:
    assert address.class_name(written) == name


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("postgresql://user:geheim@host/db", "the scheme postgresql://"),
        ("MyCustomSource?token=geheim", "an address without a scheme"),
        ("to ken=geheim://x", "an address without a scheme"),
        ("custom://?token=geheim", "custom:// and no name"),
        ("custom://My&token=geheim", "custom://My, then something that cannot be part of a name"),
        ("custom://user:geheim@My", "custom://user, then something that cannot be part of a name"),
        ("", "an address without a scheme"),
    ],
)
def test_an_address_that_names_no_class_is_refused_without_showing_its_secrets(written: str, found: str) -> None:
    with pytest.raises(SourceError) as caught:
        address.class_name(written)
    assert caught.value.found == found
    assert "custom://<ClassName>" in caught.value.expected
    assert "geheim" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("  custom://X?a=1 \n", "custom://X?a=1"),
        ("custom://X?a=1\n    &b=2\n    &c=3", "custom://X?a=1&b=2&c=3"),
        ("custom://X?a=1 &b=2", "custom://X?a=1&b=2"),
        ("custom://X?a=1& b=2", "custom://X?a=1&b=2"),
        ("custom://X\r\n?a=1", "custom://X?a=1"),
        ("custom://X?q=select a\n  from t", "custom://X?q=select a from t"),
        ("custom://X?dept=R & D", "custom://X?dept=R & D"),
        ("custom://X?q=why ? because", "custom://X?q=why ? because"),
        ("custom://X?a=%20+%2B&&b=", "custom://X?a=%20+%2B&&b="),
    ],
)
def test_a_folded_address_comes_back_on_one_line_and_nothing_else_changes(written: str, folded: str) -> None:
    assert address.fold(written) == folded


def test_names_are_filled_in_and_the_rest_stays() -> None:
    environ = {"API_TOKEN": "a&b%20{OTHER}", "lower_1": "x", "OTHER": "never"}
    written = 'custom://X?t={API_TOKEN}&u=${lower_1}&j={"a": 1}&e={}&n={1x}&p=/v/{id}/{id}&k=$OTHER'
    filled, missing = address.fill(written, environ)
    assert filled == 'custom://X?t=a&b%20{OTHER}&u=x&j={"a": 1}&e={}&n={1x}&p=/v/{id}/{id}&k=$OTHER'
    assert missing == ["id"]


def test_a_name_set_to_nothing_is_filled_in_with_nothing() -> None:
    assert address.fill("custom://X?t={EMPTY}", {"EMPTY": ""}) == ("custom://X?t=", [])
