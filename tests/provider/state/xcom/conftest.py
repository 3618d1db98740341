"""What tests of XComs do behind Airflow's back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def trim() -> Callable[[], int]:
    """`trim()` removes every XCom, as `airflow db clean` does, and returns how many records were among them."""

    def remove() -> int:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            records = session.query(XComModel).filter(XComModel.key == "nilus_state").count()
            session.query(XComModel).delete()
            return int(records)

    return remove


@pytest.fixture
def object_storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`object_storage(path)`: XComs go into an object store, as `[core] xcom_backend` would have it from the start."""
    from airflow.providers.common.io.xcom import backend
    from airflow.sdk.execution_time import task_runner, xcom

    caches = (backend._get_base_path, backend._get_compression, backend._get_threshold)

    def use(path: str) -> None:
        monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", path)
        monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "0")
        for module in (xcom, task_runner):
            monkeypatch.setattr(module, "XCom", backend.XComObjectStorageBackend)
        for cache in caches:
            cache.cache_clear()

    yield use
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def dies_before_its_record(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """`dies_before_its_record()`: the next run that has loaded fails before it keeps its state; it may be retried."""
    from airflow_provider_nilus.state.record_session import RecordSession

    commit = RecordSession.commit

    def arm() -> None:
        def die(self: RecordSession, loaded: Any) -> int:
            monkeypatch.setattr(RecordSession, "commit", commit)
            raise RuntimeError("the worker died")

        monkeypatch.setattr(RecordSession, "commit", die)

    return arm
