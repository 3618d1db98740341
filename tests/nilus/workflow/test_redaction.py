"""What is shown of addresses and options: no secret, and as much of the rest as is safe."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nilus.values.redaction import looks_secret, redact_address, redact_options, redact_value
from nilus.workflow.models import Source, Workflow

FIRST, SECOND, THIRD = "qZ8firstQx", "Xk7secondW", "thirdPart9"
ANY = st.text(max_size=4)
PUNCTUATION = st.text(alphabet="@/?#:&=%;, \n\t+[]{}$'\"\\~!*()|^`<>", max_size=4)
BETWEEN = ANY | PUNCTUATION


@pytest.mark.parametrize(
    ("address", "displayed"),
    [
        ("postgresql://user:pw@host:5432/db?sslmode=require", "postgresql://***@host:5432/db?sslmode=require"),
        ("postgresql://{USER}:{PASSWORD}@host/db", "postgresql://***@host/db"),
        ("https://TOKEN@git.example.com/a.git", "https://***@git.example.com/a.git"),
        ("postgresql://u:p@ss@host/db", "postgresql://***@host/db"),
        ("postgresql://u:p/a?s#s@host/db", "postgresql://***@host/db"),
        ("custom://X?api_token=abc&table=t", "custom://X?api_token=***&table=t"),
        ("custom://X?API-KEY=abc", "custom://X?API-KEY=***"),
        ("custom://X?accessKey=abc&clientSecret=d&sig=e", "custom://X?accessKey=***&clientSecret=***&sig=***"),
        ("custom://X?url=https://u:p@h/v1?token=t&page=2", "custom://X?url=https://***@h/v1?token=***&page=2"),
        ("custom://X?url=https%3A%2F%2Fu%3Ap%40h%2Fv1&page=2", "custom://X?url=https://***@h/v1&page=2"),
        ("custom://X?a=https://h/x&b=https://u:p@h", "custom://X?a=https://h/x&b=https://***@h"),
        ("custom://X?url=https://u:pa&w=ss@h/v1&b=2", "custom://X?url=https://***@h/v1&b=2"),
        ("custom://X?to%6ben=abc", "custom://X?to%6ben=***"),
        ("motherduck://db?token=abc", "motherduck://db?token=***"),
        ("s3://bucket?access_key_id=a&secret_access_key=b", "s3://bucket?access_key_id=***&secret_access_key=***"),
        ("user:pw@host:path", "***@host:path"),
        ("DRIVER=x;SERVER=h;UID=me;PWD=secret", "DRIVER=x;SERVER=h;UID=me;PWD=***"),
        ("mssql://h/db?odbc_connect=UID%3Dme%3BPWD%3Dx", "mssql://h/db?odbc_connect=UID=me;PWD=***"),
        ('custom://X?config={"password": "x", "host": "h"}', 'custom://X?config={"password": "***", "host": "h"}'),
        ("postgresql://u:p@[::1]:5432/db", "postgresql://***@[::1]:5432/db"),
        ("custom://X#abc", "custom://X#***"),
        ("custom://X?a=1#token=abc&b=2&bare", "custom://X?a=1#token=***&b=2&***"),
    ],
)
def test_secrets_of_an_address_are_hidden(address, displayed):
    assert redact_address(address) == displayed


@pytest.mark.parametrize(
    "address",
    [
        "",
        "duckdb:///data/out.duckdb",
        "duckdb:////home/me@work/out.duckdb",
        "sqlite:///a@b.db",
        "custom://MyCustomSource?param1=value1&param2=value2",
        "custom://Jira?email=me@example.com&project=A",
        "custom://X?url=https://h:8080/v1?x=1&y=%41",
        "custom://X?url=http://localhost:8080&email=me@example.com",
        "dataos://lakehouse:sandbox/orders?acl=rw",
        "postgresql://host:5432/db",
        "postgresql://[::1]:5432/db",
        "git@git.example.com:team/a.git",
        "https://git.example.com/team/a",
        "custom://X?primary_key=id&incremental-key=at&keyspace=k",
        "not an address at all",
    ],
)
def test_an_address_without_secrets_is_shown_as_it_was_written(address):
    assert redact_address(address) == address


@given(BETWEEN, BETWEEN)
@example("@", "/")
@example("?", "=")
@example("/", "@")
@example("://", "@")
@example("=", "://")
@example("\n", " ")
@settings(database=None, deadline=None, max_examples=500)
def test_a_password_in_front_of_the_host_is_never_shown(first, second):
    password = f"{FIRST}{first}{SECOND}{second}{THIRD}"
    for address in (
        f"postgresql://user:{password}@host:5432/db?sslmode=require",
        f"https://user:{password}@host/",
        f"  custom://user:{password}@X?a=b",
        f"user:{password}@host:path",
        f"postgresql://:{password}@host/db",
        f"jdbc:postgresql://user:{password}@host/db",
    ):
        shown_text = redact_address(address)
        assert not [part for part in (FIRST, SECOND, THIRD) if part in shown_text], (address, shown_text)


@given(BETWEEN, st.integers(0, 3), st.booleans())
@settings(database=None, deadline=None, max_examples=500)
def test_an_encoded_password_in_a_nested_address_is_never_shown(between, times, in_query):
    password = quote(f"{FIRST}{between}{SECOND}", safe="")
    nested = f"https://h/?token={password}" if in_query else f"https://user:{password}@h/v1"
    for _ in range(times):
        nested = quote(nested, safe="")
    shown_text = redact_address(f"custom://X?a=1&url={nested}&b=2")
    assert FIRST not in shown_text
    assert SECOND not in shown_text
    assert shown_text.startswith("custom://X?a=1&url=")


@given(st.text(max_size=6).filter(lambda text: "&" not in text))
@example("?x=1@")
@example("://")
@settings(database=None, deadline=None, max_examples=500)
def test_a_raw_password_in_a_nested_address_is_never_shown(between):
    shown_text = redact_address(f"custom://X?url=https://user:{FIRST}{between}{SECOND}@h/v1&b=2")
    assert FIRST not in shown_text
    assert SECOND not in shown_text


@given(
    st.sampled_from(
        ["password", "PASSWORD", "api_key", "api-token", "client_secret", "sig", "pwd", "private-key", "pass%77ord"]
    ),
    BETWEEN,
    st.sampled_from(["?", "&", "#", ";", "?a=1&", "?url=https://h/x?"]),
)
@settings(database=None, deadline=None, max_examples=500)
def test_the_encoded_value_of_a_secret_parameter_is_never_shown(key, between, separator):
    value = quote(f"{FIRST}{between}{SECOND}", safe="")
    shown_text = redact_address(f"custom://X{separator}{key}={value}&last=1")
    assert FIRST not in shown_text
    assert SECOND not in shown_text
    assert shown_text.endswith("&last=1")


def test_an_address_folded_over_lines_hides_its_secrets():
    text = redact_address("custom://X?\n  user=me\n  &pass\n word=hunter2\n  &to\n  ken=abc123")
    assert "hunter2" not in text
    assert "abc123" not in text


@given(
    st.text()
    | st.lists(st.sampled_from(["://", "@", "%25", "%", "?", "&", "a=", "token=", ":", "/", "#"])).map("".join)
)
@settings(database=None, deadline=None, max_examples=1000)
def test_no_text_makes_redaction_fail(text):
    assert isinstance(redact_address(text), str)


def test_a_long_address_is_redacted_in_reasonable_steps():
    address = "custom://X?" + "&".join(f"k{number}=https%3A%2F%2Fu%3Ap%40h" for number in range(5_000))
    assert "u:p" not in redact_address(address)
    assert redact_address("://" * 20_000 + "@")
    assert redact_address("a://" * 20_000 + "x:y@")
    assert redact_address("a" * 8_000) == "a" * 8_000
    assert redact_address("a" * 500_000) == "***"


def test_what_is_encoded_more_often_than_anyone_means_is_hidden():
    assert redact_address("custom://X?a=%" + "25" * 5_000 + "41") == "custom://***"


def test_something_that_is_no_text_is_still_redacted():
    class Url:
        def __str__(self) -> str:
            return "https://u:hunter2@h"

    assert redact_address(Url()) == "https://***@h"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key", ["api_token", "API-KEY", "accessKey", "PWD", "clientSecret", "sig", "sasl.password", "dsn"]
)
def test_a_key_that_names_a_secret_is_known(key):
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["primary_key", "incremental-key", "keyspace", "monkey", "author", "page", "url", ""])
def test_a_key_that_names_no_secret_is_not_taken_for_one(key):
    assert not looks_secret(key)


def test_options_are_redacted_all_the_way_down():
    options = {"api_token": "a", "nested": {"password": "b", "urls": ["https://u:c@h"]}, "page": 5, "secret": None}
    assert redact_options(options) == {
        "api_token": "***",
        "nested": {"password": "***", "urls": ["https://***@h"]},
        "page": 5,
        "secret": None,
    }


def test_a_value_in_a_message_is_short_and_of_one_line():
    assert redact_value("word " * 500) == repr("word " * 16 + "…")
    assert redact_value("x" * 500) == repr("…"), "a part of a secret, perhaps"
    assert redact_value("a\nb") == r"'a\nb'"
    assert redact_value({"password": "hunter2"}) == "a mapping"
    assert redact_value(True) == "true"
    assert redact_value(5) == "5"
    assert redact_value(None) == "nothing"


# --- of a whole workflow ------------------------------------------------------------------------------------------


@pytest.fixture
def secretive(make):
    document = make(
        repo={"url": "https://git.example.com/a?private_token=hunter2"},
        source={"mask": {"password": "hmac:hunter2", "name": "hash"}, "api-token": "hunter2", "x": {"pwd": "hunter2"}},
        sink={"aws-endpoint": "https://u:hunter2@s3.example.com"},
    )
    document["source"]["address"] = "custom://Orders?token=hunter2"
    document["sink"]["address"] = "postgresql://u:hunter2@db.example.com/x"
    return Workflow.parse(document)


def test_the_display_of_a_workflow_holds_no_secret(secretive):
    display = secretive.redacted()
    assert "hunter2" not in repr(display)
    assert display["source"]["address"] == "custom://Orders?token=***"
    assert display["source"]["options"]["mask"] == {"password": "hmac:***", "name": "hash"}
    assert display["source"]["options"]["api-token"] == "***"
    assert display["sink"]["address"] == "postgresql://***@db.example.com/x"


def test_neither_does_what_python_prints(secretive):
    for model in (secretive, secretive.repo, secretive.source, secretive.sink):
        assert "hunter2" not in repr(model)
        assert "hunter2" not in str(model)
        assert "hunter2" not in f"{[model]}"


def test_neither_does_what_pydantic_says_of_a_wrong_model():
    with pytest.raises(ValueError, match="Source") as caught:
        Source(address="custom://Orders?token=hunter2", table=["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_the_workflow_itself_keeps_its_secrets(secretive):
    assert secretive.source.address == "custom://Orders?token=hunter2"
    assert secretive.source.spec_fields()["options"]["api_token"] == "hunter2"


@given(st.text(min_size=1, max_size=6))
@settings(database=None, deadline=None, max_examples=200)
def test_no_error_about_a_workflow_shows_a_password(between):
    password = quote(f"{FIRST}{between}{SECOND}", safe="")
    address = f"postgresql://user:{password}@host/db"
    document = {
        "repo": {"url": f"https://user:{password}@host/a", "syncFlags": [f"--password={password}"], "depth": address},
        "source": {"address": [address], "options": {"page-size": address, "mask": {"c": f"hmca:{password}"}}},
        "sink": {"address": {"x": address}, "options": {"dest-table": address, "incremental-strategy": address}},
        address: 1,
    }
    with pytest.raises(Exception, match="problems") as caught:
        Workflow.parse(document)
    assert FIRST not in str(caught.value)
    assert SECOND not in str(caught.value)
