"""Names of Variables: recognisable, never masked, never shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.variable import MAX_NAME, VariableStore, variable_name
from nilus.errors import StateError


def test_an_ordinary_key_is_readable_in_the_name():
    assert variable_name("shop.load_orders") == "nilus__shop.load_orders"


@pytest.mark.parametrize(
    "key",
    [
        "auth.refresh_token",
        "dag.SECRET_rotation",
        "x.load_passwords",
        "a.proxies",
        "shop.api-key",
        "a.Private..Key",
    ],
)
def test_a_key_with_a_word_that_airflow_masks_gets_a_name_airflow_does_not_mask(key):
    secrets_masker = pytest.importorskip("airflow.sdk._shared.secrets_masker")
    masker = secrets_masker.SecretsMasker()
    masker.sensitive_variables_fields = list(secrets_masker.DEFAULT_SENSITIVE_FIELDS)
    masker.hide_sensitive_var_conn_fields = True
    masked = masker.should_hide_value_for_key
    # Airflow 3.1 looks for the words as they stand: not all of these keys are masked there.
    assert masked(key) or not masked("api-key")
    assert not masked(variable_name(key))


def test_a_long_key_is_shortened_and_stays_recognisable():
    name = variable_name("warehouse." + "x" * 400)
    assert len(name) == MAX_NAME
    assert name.startswith("nilus__warehouse.xxx")


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=400))
def test_two_keys_never_share_a_variable(one, other):
    assert (variable_name(one) == variable_name(other)) == (one == other)


@pytest.mark.parametrize("key", ["a?1", "a#1", "a%41", "a/../b", "a/./b", "a//b", "a/", "größe.日本", "a\nb"])
def test_a_key_reaches_airflow_s_server_whole(key):
    httpx = pytest.importorskip("httpx")
    name = variable_name(key)
    request = httpx.Client(base_url="http://airflow/execution/").build_request("GET", f"variables/{name}")
    assert request.url.path == f"/execution/variables/{name}"
    assert name.isascii()
    assert (request.url.query, request.url.fragment) == (b"", "")


def test_spaces_and_slashes_stay_in_the_name():
    assert variable_name("team a/shop: orders") == "nilus__team a/shop: orders"


def test_an_altered_key_does_not_collide_with_a_key_that_looks_like_the_alteration():
    altered = variable_name("d.token")
    assert variable_name(altered.removeprefix("nilus__")) != altered


def test_a_record_hidden_by_an_environment_variable_is_refused(monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_NILUS__SHOP.LOAD", Record(key="shop.load").to_json())
    with pytest.raises(StateError, match="hidden by an environment variable"):
        VariableStore().read("shop.load")
