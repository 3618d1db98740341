"""Records in Airflow Variables."""

from __future__ import annotations

import hashlib
import os
import re

from airflow_provider_nilus.state.record import Record, warn_of_size
from nilus.errors import StateError

PREFIX = "nilus__"
MAX_NAME = 250
# Airflow hides the value of a Variable whose name holds one of these words, and every text equal to it, in all logs.
_MASKING_WORDS = (
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "auth_header",
    "authorization",
    "bearer",
    "connection_string",
    "dsn",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "proxy",
    "proxies",
    "secret",
    "service_account",
    "service_key",
    "token",
    "keyfile_dict",
    "webhook_url",
)

_ALTERED = re.compile(r"\.[0-9a-f]{16}$")
# A task asks for a Variable by a URL, into which Airflow puts the name as it is: `?` would end it, `/../` shorten it.
_UNSAFE = re.compile(r"[^\w.:@=+~ /-]|/(?=/|$|\.{1,2}(?:/|$))", re.ASCII)


def variable_name(key: str) -> str:
    """Return the name of the Variable that keeps a key's record.

    The name is `nilus__` and the key. A key that is too long for a Variable's name, holds a word for which Airflow
    masks values, or a character that does not reach Airflow's server as it is, is altered and carries a digest, so that
    two keys never share a Variable.
    """
    name = PREFIX + key
    readable = _UNSAFE.sub("-", name)
    for word in sorted((*_MASKING_WORDS, *_configured_masking_words()), key=len, reverse=True):
        # Airflow looks for the word after folding every run of other characters into one underscore.
        pattern = r"(?:\W+|_)".join(map(re.escape, word.split("_")))
        readable = re.sub(pattern, lambda match: f"{match[0][0]}-{match[0][1:]}", readable, flags=re.IGNORECASE)
    if readable == name and len(name) <= MAX_NAME and not _ALTERED.search(name):
        return name
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{readable[: MAX_NAME - len(digest) - 1]}.{digest}"


def refuse_shadow(key: str, name: str) -> None:
    """Refuse a Variable that an environment variable hides: Airflow reads it first and cannot write it.

    Args:
        key: the state key.
        name: the Variable's name.

    Raises:
        StateError: the environment has it.
    """
    shadow = f"AIRFLOW_VAR_{name.upper()}"
    if shadow in os.environ:
        raise StateError(
            f"The state record of {key!r} is hidden by an environment variable",
            expected=f"the Variable {name!r} in Airflow's own database",
            found=f"{shadow} in the environment, which Airflow reads first and cannot write",
            remedy="remove it from the deployment's environment",
        )


def _configured_masking_words() -> list[str]:
    from airflow.providers.common.compat.sdk import conf

    words = conf.get("core", "sensitive_var_conn_names", fallback="") or ""
    return [word.strip() for word in words.split(",") if word.strip()]


class VariableStore:
    """Keeps records in Airflow Variables, which Airflow encrypts where it has a Fernet key."""

    def read(self, key: str) -> Record:
        """Return the key's record; an empty one if there is no Variable.

        Raises:
            StateError: the Variable is no record, or an environment variable stands before it.
        """
        from airflow.sdk import Variable

        name = variable_name(key)
        refuse_shadow(key, name)
        text = Variable.get(name, default=None)
        return Record(key=key) if text is None else Record.from_json(text, key=key)

    def write(self, record: Record) -> None:
        """Keep the record, and read it back: a secrets backend that answers first would hide it for ever.

        Raises:
            StateError: what is read back is not what was written.
        """
        from airflow.sdk import Variable

        name = variable_name(record.key)
        refuse_shadow(record.key, name)
        text = record.to_json()
        warn_of_size(record.key, text)
        Variable.set(name, text, description=f"State of {record.key}, version {record.version}")
        if Variable.get(name, default=None) != text:
            raise StateError(
                f"The state record of {record.key!r} was written but reads differently",
                expected=f"version {record.version} in the Variable {name!r}",
                found="another value: a secrets backend answers before Airflow's own Variables, or another run wrote",
                remedy=f"remove {name!r} from the secrets backend; this run's rows are loaded, its state is not kept",
            )
