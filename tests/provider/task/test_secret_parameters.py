"""URLs in what a child logs or raises: a parameter that looks secret is hidden, whoever made the link."""

from __future__ import annotations

import time

import pytest

from airflow_provider_nilus.task.secrets import redact_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "HTTPError: 401 Client Error for url: https://h/v1?api_key=s3cr3t-key&page=2",
            "HTTPError: 401 Client Error for url: https://h/v1?api_key=***&page=2",
        ),
        ("next: 'https://h/x?page=2&access_token=abc.def'", "next: 'https://h/x?page=2&access_token=***'"),
        ("https://h/x?X-Amz-Signature=0f3a&X-Amz-Date=20260101", "https://h/x?X-Amz-Signature=***&X-Amz-Date=20260101"),
        ("(Caused by /x?api%5Fkey=s3cr3t: refused)", "(Caused by /x?api%5Fkey=*** refused)"),
        ("https://h/x?primary_key=id&page=2&q=a=b", "https://h/x?primary_key=id&page=2&q=a=b"),
        ("no URL: key=value; token = x", "no URL: key=value; token = x"),
    ],
)
def test_a_parameter_that_looks_secret_is_hidden_and_no_other(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_a_long_line_takes_no_long_time() -> None:
    started = time.monotonic()
    redact_text("?a&b;" * 60_000 + "x" * 300_000)
    assert time.monotonic() - started < 10
