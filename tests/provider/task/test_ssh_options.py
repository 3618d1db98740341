"""The ssh options of a connection: what git's ssh gets, and what is left of it afterwards."""

from __future__ import annotations

import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nilus.task.ssh_options import ssh_environment


def test_a_connection_without_ssh_options_sets_nothing() -> None:
    with ssh_environment({"private_key_passphrase": "alone", "GITSYNC_USERNAME": "me"}) as environ:
        assert environ == {}


def test_a_key_given_as_text_is_a_private_file_while_git_runs_and_gone_afterwards() -> None:
    with ssh_environment({"private_key": "the key"}) as environ:
        words = shlex.split(environ["GIT_SSH_COMMAND"])
        file = Path(words[words.index("-i") + 1])
        assert file.read_text() == "the key\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert "IdentitiesOnly=yes" in words
        assert "StrictHostKeyChecking=yes" in words
    assert not file.parent.exists()


def test_a_passphrase_is_answered_as_it_is_and_is_no_argument() -> None:
    passphrase = 'it\'s "$HOME" \\n %s'
    with ssh_environment({"key_file": "/keys/mine", "private_key_passphrase": passphrase}) as environ:
        answer = subprocess.run([environ["SSH_ASKPASS"]], capture_output=True, text=True, check=True).stdout
        assert answer == passphrase + "\n"
        assert passphrase not in environ["GIT_SSH_COMMAND"]
        assert environ["SSH_ASKPASS_REQUIRE"] == "force"


@pytest.mark.parametrize(
    ("extra", "option"),
    [
        ({"known_hosts_file": "/etc/my hosts"}, "UserKnownHostsFile=/etc/my hosts"),
        ({"strict_host_key_checking": "accept-new"}, "StrictHostKeyChecking=accept-new"),
        ({"key_file": "/k", "strict_host_key_checking": "ask"}, "StrictHostKeyChecking=yes"),
        ({"ssh_config_file": "/etc/ssh.conf"}, "/etc/ssh.conf"),
        ({"host_proxy_cmd": "nc %h %p"}, "ProxyCommand=nc %h %p"),
        ({"ssh_port": "2222"}, "2222"),
    ],
)
def test_each_option_reaches_ssh_as_one_word(extra: dict[str, Any], option: str) -> None:
    with ssh_environment(extra) as environ:
        assert option in shlex.split(environ["GIT_SSH_COMMAND"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"ssh_port": "many"}, "many"),
        ({"strict_host_key_checking": "perhaps"}, "strict_host_key_checking"),
        ({"key_file": "/a", "private_key": "b"}, "key_file"),
    ],
)
def test_an_option_that_cannot_be_meant_is_an_error(extra: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words), ssh_environment(extra):
        pass
