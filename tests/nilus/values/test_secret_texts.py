"""Secrets in texts: every form is known, and no cut shows a part of one."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nilus.values.secret_texts import blank, cut, cut_middle, forms

SECRET = "p/ä s+s>w?ö&rd~\"x\\y'z"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        repr(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
    ],
)
def test_a_secret_is_blanked_in_every_form(written: str) -> None:
    assert written in set(forms(SECRET))
    assert blank(f"<{written}>", [SECRET]) == "<***>"


def test_a_secret_that_is_part_of_another_does_not_leave_the_rest_of_it() -> None:
    assert blank("abcdef abc", ["", "abc", "abcdef"]) == "*** ***"


def test_each_line_of_a_secret_of_several_lines_is_blanked() -> None:
    assert blank("it said: line-two", ["line-one\nline-two\n"]) == "it said: ***"


def test_a_text_of_surrogates_has_forms() -> None:
    assert "\udc80" in set(forms("\udc80"))


@given(st.text(alphabet="ab =&", max_size=60), st.integers(0, 120))
@settings(database=None, deadline=None)
def test_a_cut_shows_no_part_of_a_secret(before: str, limit: int) -> None:
    secret = "Xk7secondWqZ8firstQx"
    for short in (cut(f"{before} {secret} b", limit), cut_middle(f"{before} {secret} {before}", limit)):
        assert "X" not in short.replace(secret, "")
        assert "Qx" not in short.replace(secret, "")


def test_what_is_short_enough_is_not_cut_and_what_is_not_is_marked() -> None:
    assert cut("one two", 7) == cut_middle("one two", 7) == "one two"
    assert cut("one two three", 9) == "one two …"
    assert cut("x" * 100, 9) == "…"
    assert cut("x" * 10_000, 9_000) == "x" * 4_904 + "…"
    assert cut_middle("one two three four", 12, "…") == "one … four"
