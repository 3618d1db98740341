"""The address of a custom source."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nilus.errors import SourceError, WorkflowError
from nilus.values import address
from nilus.values.address import Address


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


ENVIRON = {"KEY": "s3cr3t-key+&/=x", "HOST": "db:5432", "FOLDER": "a b/c?d", "WHOLE": "s3://b/c?d=e", "EMPTY": ""}


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("custom://X?key={KEY}&n=1", "custom://X?key=s3cr3t-key%2B%26%2F%3Dx&n=1"),
        ("custom://X#token=${KEY}", "custom://X#token=s3cr3t-key%2B%26%2F%3Dx"),
        ("postgresql://u:{KEY}@{HOST}/d", "postgresql://u:s3cr3t-key%2B%26%2F%3Dx@db:5432/d"),
        ("duckdb:///{FOLDER}/x.duckdb", "duckdb:///a%20b/c%3Fd/x.duckdb"),
        ("{WHOLE}", "s3://b/c?d=e"),
        ("custom://X?t={EMPTY}", "custom://X?t="),
        ('custom://X?j={"a": 1}&e={}&n={1x}&k=$OTHER', 'custom://X?j={"a": 1}&e={}&n={1x}&k=$OTHER'),
    ],
)
def test_a_value_is_encoded_for_the_part_of_the_address_it_fills(written: str, filled: str) -> None:
    assert address.fill(written, ENVIRON, where="source.address") == filled


def test_a_value_is_not_looked_at_for_further_names() -> None:
    environ = {"A": "{OTHER}", "OTHER": "never"}
    assert address.fill("custom://X?a={A}", environ, where="source.address") == "custom://X?a=%7BOTHER%7D"


def test_a_name_that_the_environment_lacks_is_refused_for_good() -> None:
    with pytest.raises(WorkflowError, match=r"source.address: \{id\} cannot be filled in") as caught:
        address.fill("custom://X?p=/v/{id}", ENVIRON, where="source.address")
    assert not caught.value.retryable


def test_a_text_that_is_no_address_is_filled_as_it_is() -> None:
    assert address.fill_text("{KEY}-{GONE}", ENVIRON) == ("s3cr3t-key+&/=x-{GONE}", ["GONE"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("postgresql://u:p@h:5432/db?a=1#f", ("postgresql", "u:p", "h:5432", "/db", "a=1", "f")),
        ("iceberg+rest://h/w", ("iceberg", "", "h", "/w", "", "")),
        ("postgresql://u:p/a?s#s@h/db", ("postgresql", "u:p/a?s#s", "h", "/db", "", "")),
        ("postgresql://u:p/w@h/db?x=a@b", ("postgresql", "u:p/w", "h", "/db", "x=a@b", "")),
        ("postgresql://h:5432/db?mail=a@b", ("postgresql", "", "h:5432", "/db", "mail=a@b", "")),
        ("postgresql://u@[::1]:5432/db", ("postgresql", "u", "[::1]:5432", "/db", "", "")),
        ("custom://X?mail=a@b&url=http://h:80/p", ("custom", "", "X", "", "mail=a@b&url=http://h:80/p", "")),
        ("duckdb:////home/a@b/c#d.duckdb", ("duckdb", "", "", "//home/a@b/c#d.duckdb", "", "")),
        ("abfss://box@account.example/a", ("abfss", "box", "account.example", "/a", "", "")),
        ("no address", ("", "", "no address", "", "", "")),
    ],
)
def test_an_address_is_read_in_its_parts(text: str, parts: tuple[str, ...]) -> None:
    found = Address.parse(text)
    assert (found.scheme, found.user_info, found.host, found.path, found.query, found.fragment) == parts


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("postgresql://user:p%2Fw%C3%A4@h/db", {"p%2Fw%C3%A4", "p/wä"}),
        ("postgresql://user:p/w#x@h/db", {"p/w#x"}),
        ("postgresql://user:12/34@h/db", {"12/34"}),
        ("https://T0KEN-x@h/a", {"T0KEN-x"}),
        ("postgresql://user@h/db", set()),
        ("custom://X#token=s3cr3t", {"s3cr3t"}),
        ("custom://X?page=1#a-bare-secret", {"a-bare-secret"}),
        ("custom://Demo?api_key=s3%2Bcr3t&page=2", {"s3+cr3t", "s3%2Bcr3t"}),
        ("custom://X?url=https%3A%2F%2Fu%3Apass-word%40h%2F%3Ftoken%3Dt0ken&b=2", {"pass-word", "t0ken"}),
        ("duckdb:////home/me:x@work/a.duckdb", set()),
        ("s3://bucket/a?aws_secret_access_key=SK&aws_access_key_id=AK", {"SK"}),
        ("", set()),
    ],
)
def test_every_secret_of_an_address_is_known_and_none_is_shown(text: str, secrets: set[str]) -> None:
    found = Address.parse(text)
    assert set(found.secrets) == secrets
    for shown in (str(found), repr(found), f"{found}"):
        assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize("part", ["://a:b", "b://a:b", "b://a:b@", "?a=b://c", "?a=b://c&", "#a&", "?a=%3A//&"])
def test_a_long_address_is_read_and_shown_in_a_moment(part: str) -> None:
    started = time.process_time()
    long = Address.parse(part * (200_000 // len(part)))
    assert isinstance(str(long), str)
    assert isinstance(long.secrets, tuple)
    assert time.process_time() - started < 5


@given(
    st.text(max_size=30) | st.lists(st.sampled_from(["://", "@", "?", "#", "&", "a=", "token=", ":", "/"])).map("".join)
)
def test_any_text_is_an_address(text: str) -> None:
    assert isinstance(str(Address.parse(text)), str)
    assert isinstance(Address.parse(text).secrets, tuple)
