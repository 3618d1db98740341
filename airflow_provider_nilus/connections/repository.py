"""The connection type `nilus_repository`: a Git repository's server, and how to log in to it."""

from __future__ import annotations

from typing import Any, Final

REPOSITORY_TYPE: Final = "nilus_repository"

_TEXT: Final = {"type": ["string", "null"]}

REPOSITORY_FIELDS: dict[str, Any] = {
    "key_file": {
        "label": "Key file",
        "description": "For ssh: the path of the private key on the worker. The key's text instead goes into Extra "
        "Fields JSON, as private_key, its line ends written as \\n.",
        "schema": _TEXT,
    },
    "private_key_passphrase": {
        "label": "Passphrase of the key",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "known_hosts_file": {
        "label": "Known hosts file",
        "description": "For ssh: the path of the file with the servers' keys. Nothing: the one of the worker's user.",
        "schema": _TEXT,
    },
    "strict_host_key_checking": {
        "label": "Unknown servers",
        "description": "For ssh: yes refuses a server whose key is not known, accept-new trusts it at first sight. "
        "Nothing: yes.",
        "schema": {"type": ["string", "null"], "enum": ["yes", "accept-new"]},
    },
    "github_app_id": {
        "label": "GitHub App ID",
        "description": "With an installation ID and a key, in place of a token.",
        "schema": _TEXT,
    },
    "github_installation_id": {"label": "GitHub installation ID", "schema": _TEXT},
}
"""The fields that Airflow's own type `git` has in its extra, under its names: its hook reads them."""

REPOSITORY_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {"host": "Repository URL", "login": "User", "password": "Token"},
    "placeholders": {"host": "https://git.example.com/data/sources.git"},
}
