"""The verbs by themselves: what they print, ask and change."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from airflow_provider_nilus.state.commands import stored_records
from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.variable import variable_name

pytestmark = pytest.mark.usefixtures("airflow_db")


def _store(key, *lasts, text=None):
    from airflow.models import Variable
    from airflow.utils.session import create_session

    record = Record(key=key)
    for number, last in enumerate(lasts, start=1):
        record = record.advance(
            run_id=f"scheduled__{number}",
            run_type="scheduled",
            commit="c" * 40,
            load_ids=[f"17000000{number:02}.5"],
            rows={"orders": last},
            state={"shop": {"resources": {"orders": {"last": last}}}},
            committed_at=datetime(2026, 1, number, tzinfo=UTC),
        )
    with create_session() as session:
        variable = Variable(key=variable_name(key))
        variable.set_val(record.to_json() if text is None else text)
        session.add(variable)
    return record


def test_list_prints_a_line_for_each_key_and_marks_what_cannot_be_read(verb):
    _store("shop.orders", 10, 20)
    _store("shop.broken", text="nonsense")
    _store("shop.refresh_token", 5)
    lines = verb("list").splitlines()
    assert lines[0].split()[:3] == ["key", "version", "run"]
    assert [line.split()[0] for line in lines[1:]] == ["shop.broken", "shop.orders", "shop.refresh_token"]
    assert "cannot be read" in lines[1]
    assert lines[2].split()[1:4] == ["2", "scheduled__2", "c" * 12]
    listed = {one["key"]: one for one in json.loads(verb("list", "--json"))}
    assert listed["shop.orders"]["run_id"] == "scheduled__2"
    assert listed["shop.orders"]["kept_in"] == "Variable nilus__shop.orders"
    assert "cannot be read" in listed["shop.broken"]["trouble"]


def test_list_says_so_when_there_is_nothing(verb):
    assert verb("list") == "There are no records.\n"


def test_show_prints_the_head_and_its_state_and_json_on_demand(verb):
    record = _store("k", 10, 20)
    printed = verb("show", "k")
    assert printed.startswith("k: version 2, in Variable nilus__k")
    assert '"last": 20' in printed
    assert json.loads(verb("show", "k", "--json")) == json.loads(record.to_json())


def test_history_prints_the_commits_newest_first(verb):
    _store("k", 10, 20, 30)
    assert [line.split()[0] for line in verb("history", "k").splitlines()[1:]] == ["3", "2", "1"]
    assert [commit["version"] for commit in json.loads(verb("history", "k", "--json"))] == [3, 2, 1]


CHANGES = [
    ("reset", ()),
    ("reset", ("--keep-rows",)),
    ("rewind", ("--to", "1")),
    ("adopt", ()),
    ("set", ("--file", "FILE")),
]


@pytest.mark.parametrize(("name", "arguments"), CHANGES)
def test_a_dry_run_prints_what_would_change_and_changes_nothing(name, arguments, verb, tmp_path):
    record = _store("k", 10, 20)
    file = tmp_path / "state.json"
    file.write_text('{"shop": {"resources": {"orders": {"last": 7}}}}')
    printed = verb(name, "k", *(str(file) if one == "FILE" else one for one in arguments), "--dry-run")
    assert "version  2 -> 3" in printed
    assert printed.endswith("Nothing was changed (--dry-run).\n")
    assert stored_records.find("k").record == record


def test_a_change_asks_and_only_yes_is_yes(verb):
    record = _store("k", 10, 20)
    for answer in ("", "n", "no", "what"):
        with pytest.raises(SystemExit, match="Nothing was changed"):
            verb("reset", "k", answer=answer)
    with pytest.raises(SystemExit, match="there was no --yes"):
        verb("reset", "k")
    assert stored_records.find("k").record == record
    assert "Done: version 3" in verb("reset", "k", answer="y")
    assert stored_records.find("k").record.head is None


def test_a_record_that_cannot_be_read_is_an_error_to_show_and_may_be_reset(verb):
    _store("k", text="[]")
    with pytest.raises(SystemExit, match="cannot be read") as ended:
        verb("show", "k")
    assert "nilus-state reset k" in str(ended.value)
    assert "cannot be read, and is replaced" in verb("reset", "k", "--yes")
    assert stored_records.find("k").record.directive.verb == "reset"


def test_a_key_that_nothing_is_kept_under_is_said(verb):
    for name in (("show", "k"), ("history", "k"), ("rewind", "k", "--to", "1")):
        with pytest.raises(SystemExit, match="There is no record of 'k'"):
            verb(*name)
    assert "no record of this key yet" in verb("adopt", "k", "--dry-run")


def test_a_version_that_is_not_kept_is_refused_with_those_that_are(verb):
    _store("k", 10, 20)
    with pytest.raises(SystemExit, match="has no version 7") as ended:
        verb("rewind", "k", "--to", "7", "--yes")
    assert "one of 2, 1" in str(ended.value)


@pytest.mark.parametrize("text", ["nonsense", "[]", "7", '{"shop": 7}'])
def test_what_is_no_state_cannot_be_set(text, verb, tmp_path):
    _store("k", 10)
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(SystemExit, match=r"not JSON|no state"):
        verb("set", "k", "--file", str(file), "--yes")
    assert stored_records.find("k").record.version == 1


def test_a_record_hidden_by_the_environment_is_not_written(verb, monkeypatch):
    _store("k", 10)
    monkeypatch.setenv("AIRFLOW_VAR_NILUS__K", "x")
    with pytest.raises(SystemExit, match="hidden by an environment variable"):
        verb("reset", "k", "--yes")
    assert stored_records.find("k").record.version == 1


@pytest.mark.parametrize("key", ["a b", "a/b/c", "größe.日本", "x" * 250, "it's; rm -rf", "d.api_token"])
def test_odd_keys_are_found_again(key, verb):
    _store(key, 10)
    verb("reset", key, "--yes")
    assert stored_records.find(key).record.directive.verb == "reset"
    assert key in verb("list")


def test_a_task_is_named_by_both_ids(verb):
    with pytest.raises(SystemExit, match="belong together"):
        verb("show", "k", "--dag-id", "d")


def test_a_task_that_never_ran_has_no_place_for_a_record(verb):
    with pytest.raises(SystemExit, match="There is no XCom") as ended:
        verb("reset", "d.t", "--dag-id", "d", "--task-id", "t", "--yes")
    assert "no run of this task" in str(ended.value)


def test_airflow_s_own_command_line_has_the_verbs():
    cli_parser = pytest.importorskip("airflow.cli.cli_parser")
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager(), "cli_command_functions"):
        pytest.skip("this Airflow takes no commands from providers")
    arguments = cli_parser.get_parser().parse_args(["nilus", "state", "rewind", "k", "--to", "3", "--yes"])
    assert (arguments.key, arguments.to, arguments.yes, arguments.func.__name__) == ("k", 3, True, "rewind_state")


def test_what_airflow_loads_at_every_command_is_the_definition_alone():
    code = (
        "import sys; from airflow_provider_nilus.state.commands import definition; definition.commands();"
        "print([name for name in sys.modules if name.startswith(('airflow_provider_nilus.state.',"
        " 'dlt', 'duckdb', 'pyarrow'))])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    package = "airflow_provider_nilus.state.commands"
    assert printed.splitlines()[-1] == str([package, f"{package}.definition"])
