"""The Compose file, checked without an engine: its own rules here, and what docker-compose itself says of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ONE_SHOT = {"airflow-init", "s3-init"}
VERSIONED = re.compile(r"[a-z0-9./-]+:[A-Za-z0-9._-]*\d[A-Za-z0-9._-]*")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY\b", re.IGNORECASE)
REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(:\?[^}]*)?\}")


@pytest.fixture(scope="module")
def compose(checkout: Path) -> dict[str, Any]:
    return yaml.safe_load((checkout / "docker-compose.yaml").read_text())


@pytest.fixture
def generated(checkout: Path, tmp_path: Path) -> Path:
    target = tmp_path / "generated.env"
    subprocess.run([sys.executable, str(checkout / "docker" / "make-env"), str(target)], check=True)
    return target


def _values(env_file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in env_file.read_text().splitlines())


def _environment(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment", {})


def test_the_services_the_documentation_names_are_there(compose: dict[str, Any]) -> None:
    airflow = {"apiserver", "scheduler", "dag-processor", "triggerer", "init", "worker-1", "worker-2"}
    others = {"metadata", "redis", "sink", "s3", "s3-init", "iceberg", "git-server"}
    assert set(compose["services"]) == {f"airflow-{name}" for name in airflow} | others
    environment = _environment(compose["services"]["airflow-worker-1"])
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql")
    assert environment["AIRFLOW__CELERY__BROKER_URL"].startswith("redis")


def test_every_image_has_a_version(checkout: Path, compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert VERSIONED.fullmatch(service["image"]), f"{name}: {service['image']}"
    for file in (checkout / "docker").rglob("Dockerfile"):
        (base,) = re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)
        assert VERSIONED.fullmatch(base), f"{file}: {base}"


def test_airflow_is_the_version_the_tests_run_on(checkout: Path) -> None:
    (pinned,) = re.findall(r"^apache-airflow==(\S+)$", (checkout / "requirements/dev.txt").read_text(), re.MULTILINE)
    assert f"FROM apache/airflow:{pinned}-" in (checkout / "docker/airflow/Dockerfile").read_text()


def test_every_service_that_stays_up_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_a_service_waits_until_what_it_needs_is_healthy(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how == {"condition": expected}, f"{name} -> {needed}"


def test_no_secret_is_written_down_and_none_has_a_default(checkout: Path, compose: dict[str, Any]) -> None:
    text = (checkout / "docker-compose.yaml").read_text()
    for name, otherwise in REFERENCE.findall(text):
        assert otherwise.startswith(":?"), f"${name} has no message for a missing .env"
    for service in compose["services"].values():
        for key, value in _environment(service).items():
            if SECRET.search(key):
                assert REFERENCE.fullmatch(str(value)), f"{key} is not a plain reference into .env"
            assert not re.search(r"://[^/$@]*:(?!\$\{)[^/@]+@", str(value)), f"{key} holds a password"


def test_only_loopback_ports_are_published(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:")


def test_what_is_mounted_from_the_checkout_is_there_and_read_only(checkout: Path, compose: dict[str, Any]) -> None:
    volumes = {volume for service in compose["services"].values() for volume in service.get("volumes", [])}
    named = {volume for volume in volumes if not volume.startswith(".")}
    assert {volume.partition(":")[0] for volume in named} == set(compose["volumes"])
    for volume in volumes - named:
        source, _, mode = volume.rsplit(":", 2)
        assert mode == "ro", volume
        if source != "./.git":  # an unpacked source distribution has none
            assert (checkout / source).exists(), volume


def test_every_file_an_image_copies_is_there_and_reaches_the_engine(checkout: Path) -> None:
    ignored = (checkout / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    for file in (checkout / "docker").rglob("Dockerfile"):
        for line in re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", file.read_text(), re.MULTILINE):
            for source in line.split():
                assert (checkout / source).exists(), f"{file}: {source}"
                assert any(source == a or source.startswith(f"{a}/") for a in allowed), f"{file}: {source}"


def test_every_airflow_setting_is_one_that_airflow_knows(compose: dict[str, Any], airflow_metadata: Path) -> None:
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    known = {section.lower(): set(options["options"]) for section, options in conf.configuration_description.items()}
    for key in _environment(compose["services"]["airflow-worker-1"]):
        if not key.startswith("AIRFLOW__"):
            continue
        _, section, option = key.lower().split("__")
        if section == "celery":  # its provider is in the image, not here
            assert option in {"result_backend", "broker_url"}
        else:
            assert option in known[section], key


def test_the_generated_file_has_every_secret_once_and_each_is_new(
    checkout: Path, generated: Path, tmp_path: Path
) -> None:
    used = {name for name, _ in REFERENCE.findall((checkout / "docker-compose.yaml").read_text())}
    values = _values(generated)
    assert set(values) == used
    assert len(set(values.values())) == len(values)
    assert all(len(value) >= 44 for value in values.values())
    second = tmp_path / "second.env"
    subprocess.run([sys.executable, str(checkout / "docker" / "make-env"), str(second)], check=True)
    assert set(values.values()).isdisjoint(_values(second).values())


def test_the_generated_fernet_key_is_one(generated: Path) -> None:
    from cryptography.fernet import Fernet

    fernet = Fernet(_values(generated)["AIRFLOW_FERNET_KEY"])
    assert fernet.decrypt(fernet.encrypt(b"x")) == b"x"


def test_the_generated_file_is_private_and_never_overwritten(checkout: Path, generated: Path) -> None:
    assert stat.S_IMODE(generated.stat().st_mode) == 0o600
    before = generated.read_text()
    command = [sys.executable, str(checkout / "docker" / "make-env"), str(generated)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "left as it is" in run.stderr
    assert generated.read_text() == before


def test_the_generated_file_is_not_committed(checkout: Path) -> None:
    assert ".env" in (checkout / ".gitignore").read_text().splitlines()


def _config(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("MISSING: docker-compose (Debian: apt-get install docker-compose)")
    # It is a Python program of the distribution's: ours must not shadow its modules.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE", "VIRTUAL_ENV"))}
    command = [program, "--file", str(checkout / "docker-compose.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env)


def test_docker_compose_accepts_the_file_and_fills_in_the_secrets(checkout: Path, generated: Path) -> None:
    run = _config(checkout, "--env-file", str(generated), "config")
    assert run.returncode == 0, run.stderr
    resolved = yaml.safe_load(run.stdout)["services"]
    values = _values(generated)
    assert "${" not in run.stdout
    assert _environment(resolved["sink"])["POSTGRES_PASSWORD"] == values["SINK_DB_PASSWORD"]
    connection = json.loads(_environment(resolved["airflow-worker-2"])["AIRFLOW_CONN_LAKEHOUSE"])
    assert connection["password"] == values["SINK_DB_PASSWORD"]
    assert connection["host"] in resolved


def test_docker_compose_refuses_to_start_without_the_generated_file(checkout: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.env"
    empty.touch()
    run = _config(checkout, "--env-file", str(empty), "config")
    assert run.returncode != 0
    assert "run docker/make-env first" in run.stderr


def test_the_git_server_makes_the_same_repositories_every_time(checkout: Path, tmp_path: Path) -> None:
    sources, repositories = tmp_path / "sources", tmp_path / "repositories"
    (sources / "shop" / "__pycache__").mkdir(parents=True)
    (sources / "shop" / "orders.py").write_text("x = 1\n")
    (sources / "shop" / "__pycache__" / "orders.pyc").write_bytes(b"\0")
    repositories.mkdir()
    script = checkout / "docker" / "git-server" / "make-repositories"
    env = {**os.environ, "SOURCES": str(sources), "REPOSITORIES": str(repositories)}
    first, second = (
        subprocess.run([str(script)], env=env, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert first == second
    assert first.startswith("shop ")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", (repositories / "shop").as_uri(), str(clone)], check=True)
    assert (clone / "orders.py").read_text() == "x = 1\n"
    assert not (clone / "__pycache__").exists()
