"""The command as a person types it, in this process."""

from __future__ import annotations

import builtins
from collections.abc import Callable

import pytest


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`verb("reset", "d.load", "--yes", answer=)` runs `nilus-state` and returns what it printed."""
    from airflow_provider_nilus.state.commands.definition import main

    def run(*arguments: str, answer: str | None = None) -> str:
        def reply() -> str:
            if answer is None:
                raise EOFError
            return answer

        monkeypatch.setattr(builtins, "input", reply)
        capsys.readouterr()
        main(list(arguments))
        return capsys.readouterr().out

    return run
