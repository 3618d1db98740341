"""What a source sees of the machine it runs on: what it is given, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nilus.errors import SourceError

ARGUMENTS = """
    @nilus.resource
    def arguments(path=None, host="default-host", home: str = "", page_size: int = 10, last=None):
        yield {"path": path, "host": host, "home": home, "page_size": page_size, "last": last}

    @nilus.source
    def shop(user=None, token: str = "none"):
        assert (user, token) == (None, "none"), (user, token)
        return arguments

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return shop()
"""


def test_arguments_with_a_default_are_not_filled_from_the_machine(run_duckdb, tmp_path, home):
    for folder in (home, home / ".config", tmp_path):
        (folder / ".dlt").mkdir(parents=True)
        (folder / ".dlt" / "secrets.toml").write_text('host = "toml"\n[sources]\nlast = "toml"\ntoken = "toml"\n')
        (folder / ".dlt" / "config.toml").write_text("[sources]\npage_size = 3\n")
    environ = {"HOST": "env", "LAST": "env", "TOKEN": "env", "SOURCES__PAGE_SIZE": "77", "SOURCES__SHOP__TOKEN": "env"}
    run_duckdb(ARGUMENTS, worker_env={**environ, "DLT_PROJECT_DIR": str(tmp_path), "DLT_DATA_DIR": str(tmp_path)})
    assert run_duckdb.sink.columns("arguments").keys() == {"home", "host", "page_size"}
    assert run_duckdb.sink.rows("SELECT home, host, page_size FROM raw.arguments") == [("", "default-host", 10)]
    left = [path.name for path in tmp_path.iterdir()]
    assert "pipelines" not in left


CONFIGURED = """
    @nilus.resource
    def orders(token=nilus.secrets.value, size: int = nilus.config.value, regions: list = nilus.config.value):
        yield {"token": token, "size": size, "regions": ",".join(regions)}

    @nilus.source
    def shop():
        return orders

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return shop()
"""
ENVIRON = {"SOURCES__SHOP__TOKEN": "s3cret", "SOURCES__SIZE": "7", "SOURCES__SHOP__ORDERS__REGIONS": '["a", "b"]'}


def test_configuration_by_name_reaches_the_source_from_what_it_was_given(run_duckdb):
    run_duckdb(CONFIGURED, env=ENVIRON)
    assert run_duckdb.sink.rows("SELECT token, size, regions FROM raw.orders") == [("s3cret", 7, "a,b")]


def test_the_same_names_in_the_worker_s_environment_reach_nobody(run_duckdb):
    given = {name: value for name, value in ENVIRON.items() if not name.endswith("TOKEN")}
    with pytest.raises(SourceError, match=r"configuration that it was not given|ConfigFieldMissing") as caught:
        run_duckdb(CONFIGURED, env=given, worker_env=ENVIRON)
    assert "token" in str(caught.value)
    assert not caught.value.retryable
    assert "s3cret" not in str(caught.value)


QUIET = """
    import json, os, signal, socket, sys
    from pathlib import Path

    NOTES = Path(os.environ["NOTES"])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    changed, hosts = [], []
    original_signal, original_connect = signal.signal, socket.socket.connect

    def watched_signal(number, handler):
        changed.append(str(number))
        return original_signal(number, handler)

    def watched_connect(self, address):
        hosts.append(str(address))
        return original_connect(self, address)

    signal.signal = watched_signal
    socket.socket.connect = watched_connect

    import atexit

    @atexit.register
    def note():
        heavy = [name for name in sys.modules if name.partition(".")[0] == "airflow"]
        same = all(signal.getsignal(number) == handler for number, handler in before.items())
        notes = {"airflow": heavy, "changed": changed, "same": same, "hosts": hosts}
        NOTES.write_text(json.dumps(notes))

    @nilus.resource
    def orders():
        assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
        assert nilus.current.interval() is None
        yield {"telemetry": nilus.config["runtime.dlthub_telemetry"], "folder": os.getcwd()}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return orders
"""


def test_a_run_imports_no_airflow_sends_no_telemetry_and_leaves_signals_alone(run_duckdb, tmp_path):
    notes = tmp_path / "notes.json"
    environ = {"NOTES": str(notes), "RUNTIME__DLTHUB_TELEMETRY": "true"}
    run_duckdb(QUIET, worker_env=environ)
    told = json.loads(notes.read_text())
    assert (told["airflow"], told["changed"], told["same"], told["hosts"]) == ([], [], True, [])
    ((telemetry, folder),) = run_duckdb.sink.rows("SELECT telemetry, folder FROM raw.orders")
    assert telemetry is False
    assert Path(folder).parent == tmp_path


def test_equally_named_modules_of_two_repositories_do_not_mix(run_duckdb):
    files = {
        "shop.py": """
            import utils
            from helpers import name

            class Shop(CustomSource):
                def nilus_source(self, uri, table, **kwargs):
                    return nilus.resource(lambda: [{"who": utils.WHO, "name": name()}], name=f"of_{utils.WHO}")
        """,
        "helpers/__init__.py": "def name():\n    import utils\n    return utils.WHO.upper()\n",
    }
    for who in ("one", "two"):
        run_duckdb({**files, "utils.py": f"WHO = {who!r}\n"})
    assert run_duckdb.sink.rows("SELECT who, name FROM raw.of_one") == [("one", "ONE")]
    assert run_duckdb.sink.rows("SELECT who, name FROM raw.of_two") == [("two", "TWO")]
