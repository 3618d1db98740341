"""Records in object storage, where the deployment's XCom backend puts them."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nilus.state.commands.definition import main


def _shown(capsys):
    capsys.readouterr()
    main(["show", "d.load", "--json"])
    return json.loads(capsys.readouterr().out)


def test_records_are_kept_below_a_path_and_a_lost_object_is_noticed(numbers, object_storage, tmp_path, capsys):
    object_storage(f"file://{tmp_path / 'xcoms'}")
    dag = numbers.dag(state="xcom")
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    numbers.holds(20)
    records = [path for path in (tmp_path / "xcoms").rglob("*") if path.is_file() and "history" in path.read_text()]
    assert len(records) == 2
    assert _shown(capsys)["head"]["version"] == 2
    for path in records:
        path.unlink()
    error = numbers.error(numbers.run(dag, 3, 30))
    assert "is not where its XCom says" in error
    numbers.holds(20)
    main(["adopt", "d.load", "--yes"])
    numbers.run(dag, 4, 40)
    numbers.holds(40)


@pytest.mark.soak
def test_records_are_kept_in_a_bucket(numbers, object_storage, s3, monkeypatch, capsys):
    bucket = s3.create_bucket()
    extra = {"endpoint_url": s3.endpoint, "region_name": s3.region}
    monkeypatch.setenv(
        "AIRFLOW_CONN_XCOMS",
        json.dumps({"conn_type": "aws", "login": s3.access_key, "password": s3.secret_key, "extra": extra}),
    )
    object_storage(f"s3://xcoms@{bucket}/state")
    dag = numbers.dag(state="xcom")
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    numbers.holds(20)
    listed = s3.client().list_objects_v2(Bucket=bucket, Prefix="state/")["Contents"]
    assert len(listed) >= 2
    assert _shown(capsys)["head"]["version"] == 2
