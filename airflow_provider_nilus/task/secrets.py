"""Which texts of a run are secret, and how Airflow is told of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from nilus.workflow.models import Workflow

_PARAMETER = re.compile(r"([?&;])([\w.\-%\[\]]{1,64})=([^\s&;'\"<>#]+)")


def of_workflow(workflow: Workflow, source_env: Mapping[str, str]) -> list[str]:
    """Return what the author gave, what fills an address or a mask's key, and the secrets written into an address.

    None of it is ever shown.

    Args:
        workflow: the validated document.
        source_env: what the author gives to the source.
    """
    from airflow_provider_nilus.task.child_environment import child_environ
    from airflow_provider_nilus.task.repository_access import PASSWORD
    from nilus.values import mask_rule
    from nilus.values.address import Address, fill_text, filled_values, fold, placeholders

    environ = child_environ(os.environ, source_env)
    addresses = [fold(workflow.source.address), fold(workflow.sink.address)]
    return [
        *source_env.values(),
        os.environ.get(PASSWORD, ""),
        *(value for address in addresses for value in filled_values(address, environ)),
        *(text for address in addresses for text in Address.parse(address).secrets if not placeholders(text)),
        *(fill_text(key, environ)[0] for key in mask_rule.keys(workflow.source.mask)),
    ]


def hide(*secrets: str) -> None:
    """Have Airflow hide the secrets, in all their forms, wherever they turn up."""
    from airflow.sdk.log import mask_secret

    from nilus.values.secret_texts import forms

    for secret in secrets:
        for form in forms(secret):
            mask_secret(form)


def redact_text(text: str) -> str:
    """Return the text without the secrets that Airflow was told of, and without parameters of URLs that look secret.

    An API may put a key into the links of its answers, which no one has told Airflow of.
    """
    from airflow.providers.common.compat.sdk import redact

    return _PARAMETER.sub(_hide_parameter, str(redact(text)))


def _hide_parameter(found: re.Match[str]) -> str:
    from nilus.values.redaction import looks_secret
    from nilus.values.secret_texts import HIDDEN

    return f"{found[1]}{found[2]}={HIDDEN}" if looks_secret(unquote(found[2])) else found[0]
