"""Which texts of a workflow Airflow is told to hide."""

from __future__ import annotations

from airflow_provider_nilus.task.secrets import of_workflow
from nilus.workflow.models import Workflow


def test_secrets_that_are_written_into_an_address_are_hidden_and_its_placeholders_are_not(monkeypatch):
    monkeypatch.setenv("KEY", "of-the-environment")
    workflow = Workflow.parse(
        {
            "repo": {"url": "https://git.example.com/a"},
            "source": {
                "address": "custom://Demo?api_key=s3cr3t%2Bx&token={KEY}#a-bare-secret",
                "options": {"source-table": "t"},
            },
            "sink": {"address": "postgresql://u:p/w@h/db", "options": {"dest-table": "raw"}},
        }
    )

    secrets = of_workflow(workflow, {})

    assert {"s3cr3t+x", "s3cr3t%2Bx", "a-bare-secret", "p/w", "of-the-environment"} <= set(secrets)
    assert "{KEY}" not in secrets
