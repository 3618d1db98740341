"""A task knows whether its supervisor is still there."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from airflow_provider_nilus.child.supervisor import Supervisor


@pytest.fixture
def comms(monkeypatch):
    """Put something in the place of what a task talks to its supervisor through."""
    from airflow.sdk.execution_time import task_runner

    def put(value):
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", value, raising=False)

    return put


def test_a_supervisor_is_there_as_long_as_its_end_of_the_socket_is_open(comms):
    ours, its = socket.socketpair()
    with ours:
        comms(SimpleNamespace(socket=ours))
        supervisor = Supervisor()
        assert not supervisor.is_gone()
        its.send(b"an answer that nobody has read yet")
        assert not supervisor.is_gone()
        its.close()
        assert supervisor.is_gone()


@pytest.mark.parametrize("value", [None, SimpleNamespace(), SimpleNamespace(socket="no socket")])
def test_a_task_without_a_supervisor_of_its_own_never_lost_it(comms, value):
    comms(value)
    assert not Supervisor().is_gone()


def test_a_socket_that_the_task_itself_has_closed_says_nothing(comms):
    ours, its = socket.socketpair()
    with its:
        comms(SimpleNamespace(socket=ours))
        supervisor = Supervisor()
        ours.close()
        assert not supervisor.is_gone()
        assert not Supervisor().is_gone()
