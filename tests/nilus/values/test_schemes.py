"""The table of address schemes, walked: what each line names is there."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from airflow_provider_nilus.reporting.table_name import table_name
from nilus.environment.python.runtime_needs import extras_of
from nilus.runtime.sinks.base import Sink
from nilus.runtime.sinks.files.stores import STORES
from nilus.values.schemes import SCHEMES, TABLE_FORMAT_EXTRAS, Kind, scheme_of

PROJECT = Path(__file__).resolve().parents[3]
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_has_a_sink_that_imports_and_an_extra_that_exists(name):
    scheme = SCHEMES[name]
    module, _, cls = scheme.sink.partition(":")
    sink = getattr(importlib.import_module(f"nilus.runtime.sinks.{module}"), cls)
    assert issubclass(sink, Sink)
    assert scheme.extra is None or scheme.extra in EXTRAS
    assert getattr(sink, "extra", scheme.extra) == scheme.extra
    assert scheme.driver is None or scheme.driver in getattr(sink, "drivers", {scheme.driver})


@pytest.mark.parametrize("name", SCHEMES)
def test_all_readers_of_the_table_know_a_scheme(name):
    scheme = SCHEMES[name]
    assert scheme_of(f"{name.upper()}+driver://host/path") is scheme
    assert extras_of(f"{name}://host/path") == ((scheme.extra,) if scheme.extra else ())
    assert table_name(f"{name}://host/path", "raw", "orders").uri.startswith(f"{scheme.asset}://")
    assert (name in STORES) is (scheme.kind is Kind.FILES)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_pages_name_a_scheme_and_its_extra(name):
    sinks, deployment = ((PROJECT / "docs" / page).read_text() for page in ("sinks.md", "deployment.md"))
    # Users name a lakehouse by the id of its connection.
    assert SCHEMES[name].kind is Kind.LAKEHOUSE or f"{name}://" in sinks
    assert SCHEMES[name].extra is None or f"`{SCHEMES[name].extra}`" in deployment


def test_the_extras_of_table_formats_exist():
    assert set(TABLE_FORMAT_EXTRAS.values()) <= EXTRAS.keys()


@pytest.mark.parametrize("name", ["s3a", "adl", "delta", "azure", "lakehouse"])
def test_a_scheme_that_no_sink_serves_brings_no_extra(name):
    assert scheme_of(f"{name}://x") is None
    assert extras_of(f"{name}://x") == ()
