"""What the package tells Airflow and the registry of providers about itself."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
import yaml
from airflow.sdk import BaseHook, BaseOperator

import airflow_provider_nilus
from airflow_provider_nilus import get_provider_info

REGISTRY = Path(__file__).resolve().parents[3] / ".airflow-registry.yaml"


def test_the_description_is_valid_by_airflow_s_own_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    assert set(info) - set(schema["properties"]) <= {"versions"}


@pytest.mark.parametrize(("kind", "base"), [("operators", BaseOperator), ("hooks", BaseHook)])
def test_every_operator_and_hook_is_in_a_module_that_is_named(kind: str, base: type) -> None:
    package = importlib.import_module(f"airflow_provider_nilus.{kind}")
    defining = set()
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        classes = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        defining |= {cls.__module__ for _, cls in classes if issubclass(cls, base) and cls.__module__ == module.name}
    (entry,) = get_provider_info()[kind]
    assert set(entry["python-modules"]) == defining


def test_the_registry_s_file_names_what_is_there() -> None:
    listed: dict[str, Any] = yaml.safe_load(REGISTRY.read_text())
    assert listed["package-name"] == get_provider_info()["package-name"]
    assert (REGISTRY.parent / listed["logo"]).is_file()
    operators = {entry["module"].rpartition(".")[0] for entry in listed["operators"]}
    assert operators == set(get_provider_info()["operators"][0]["python-modules"])
    for entry in (*listed["operators"], *listed["hooks"]):
        module, _, name = entry["module"].rpartition(".")
        assert inspect.isclass(getattr(importlib.import_module(module), name))
        assert entry["description"]


def test_the_version_is_the_package_s() -> None:
    assert get_provider_info()["versions"] == [airflow_provider_nilus.__version__]
