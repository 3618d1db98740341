"""The hook behind connections of the type `nilus_repository`: their form, and their test."""

from __future__ import annotations

from typing import Any

from airflow_provider_nilus.connections.repository import REPOSITORY_TYPE
from airflow_provider_nilus.hooks.custom_source import NilusHook


class RepositoryHook(NilusHook):
    """Tests a repository's connection. Tasks name the connection as their `git_conn_id`.

    Args:
        nilus_repository_conn_id: the connection.
    """

    conn_name_attr = "nilus_repository_conn_id"
    default_conn_name = "nilus_repository_default"
    conn_type = REPOSITORY_TYPE
    hook_name = "Nilus repository"

    def __init__(self, *, nilus_repository_conn_id: str = default_conn_name, **options: Any) -> None:
        super().__init__(git_conn_id=nilus_repository_conn_id, **options)
        self.nilus_repository_conn_id = nilus_repository_conn_id

    # Airflow 3.1 looks for these in the class itself, not in its bases.
    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """See `NilusHook.get_connection_form_widgets`."""
        return super().get_connection_form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """See `NilusHook.get_ui_field_behaviour`."""
        return super().get_ui_field_behaviour()

    def test_connection(self) -> tuple[bool, str]:
        """Ask the repository's server for its branches (`git ls-remote`); whether that worked, and what to tell."""
        from airflow_provider_nilus.connections.forms import one_line
        from nilus.workflow.models import Repo

        there, git = self.check_git()
        if not there:
            return False, one_line(git)
        url = self.get_connection(self.nilus_repository_conn_id).host
        if not url:
            return False, "The connection names no repository: fill in its URL, which is what its test asks for."
        # Not validated here: the address is checked when it is used, and what is wrong with it told without secrets.
        reached, found = self.test_repository(Repo.model_construct(url=url))
        return reached, one_line(found)
