"""The environment of the child process, of which a task also takes what fills `{NAME}`."""

from __future__ import annotations

from collections.abc import Mapping

from nilus.errors import WorkflowError

_NOT_INHERITED = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "_AIRFLOW_", "__AIRFLOW_")
_PYTHON = frozenset(
    ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
)


def child_environ(environ: Mapping[str, str], source_env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process.

    It is the worker's, for sources rely on proxies, cloud credentials and tokens, less what is Airflow's own
    (configuration, connections, variables, the supervisor's address) and what would change the child's Python, plus
    `source_env`, which wins.

    Args:
        environ: the worker's environment.
        source_env: what the DAG's author gives to the source.

    Raises:
        WorkflowError: a name or value in `source_env` cannot be an environment variable.
    """
    kept = {
        name: value for name, value in environ.items() if not name.startswith(_NOT_INHERITED) and name not in _PYTHON
    }
    for name, value in source_env.items():
        if not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
            raise WorkflowError(
                f"source_env: {name!r} cannot be an environment variable.",
                expected="names without '=', values that are text, no NUL character in either",
                found=f"a value of type {type(value).__name__}",
                remedy="correct source_env",
            )
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace", **source_env}
