"""Calling `nilus_source`: the address, the options, what is missing."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

import nilus
from nilus.errors import SourceError, WorkflowError
from nilus.runtime.rows.steps.sets_to_lists import sets_to_lists

ECHO = """
import nilus

class Echo(nilus.CustomSource):
    {body}

    def {head}:
        got = dict(locals())
        got.pop("self")
        got.update(got.pop("kwargs", {{}}))
        Echo.got = got
        return nilus.resource([{{"id": 1}}], name="rows")
"""


def got(repository, head: str, address: str = "custom://Echo", body: str = "", **options: Any) -> dict[str, Any]:
    """Call a source whose method has the given head; return the arguments it got, by name."""
    repository.write("echo.py", ECHO.format(head=head, body=body))
    repository.source(address, **options)
    return repository.find("custom://Echo").cls.got


EVERYTHING = "nilus_source(self, uri, table, **kwargs)"

CONTRACT = {
    "incremental_key",
    "primary_key",
    "merge_key",
    "interval_start",
    "interval_end",
    "page_size",
    "sql_backend",
    "sql_reflection_level",
    "sql_limit",
    "sql_exclude_columns",
    "extract_parallelism",
}


@pytest.mark.parametrize(
    "address",
    [
        "custom://Echo?b=2&a=1&b=3",
        "custom://Echo?url=https://api.example/v1?page=1&size=2#top",
        "custom://Echo?q=%7B%22a%22%3A+1%7D&empty=&flag",
        "custom://Echo/path/with space?q=ä&x=a+b",
        'custom://Echo?filter={"status": "open", "n": {}}',
        "custom://Echo",
    ],
)
def test_the_uri_arrives_exactly_as_it_is_written(repository, address: str) -> None:
    assert got(repository, EVERYTHING, address)["uri"] == address


def test_environment_names_in_the_address_are_filled_in_from_the_sources_environment_alone(
    repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"API_TOKEN": "a%2Fb&c", "USER_1": "me"}
    address = "custom://Echo?t={API_TOKEN}&u=${USER_1}"
    assert got(repository, EVERYTHING, address, environ=environ)["uri"] == "custom://Echo?t=a%252Fb%26c&u=me"
    monkeypatch.setenv("ONLY_IN_THE_WORKER", "x")
    with pytest.raises(WorkflowError, match="ONLY_IN_THE_WORKER") as caught:
        got(repository, EVERYTHING, f"{address}&w={{ONLY_IN_THE_WORKER}}", environ=environ)
    assert not caught.value.retryable
    assert "a%2Fb" not in str(caught.value)


def test_white_space_around_the_address_and_its_folds_are_taken_out_with_a_warning(
    repository, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert got(repository, EVERYTHING, " custom://Echo?a=1\n  &b=2 \n")["uri"] == "custom://Echo?a=1&b=2"
    assert "source.address spans lines or has white space around it" in caplog.text


def test_table_is_source_table(repository) -> None:
    assert got(repository, EVERYTHING, table="public.orders")["table"] == "public.orders"


def test_a_source_with_kwargs_gets_every_option(repository) -> None:
    arguments = got(
        repository,
        EVERYTHING,
        primary_key=["id"],
        incremental_key="updated_at",
        page_size=10,
        extract_parallelism=2,
        sql={"sql_limit": 5, "sql_backend": "pyarrow"},
        options={"api_url": "https://api.example", "retries": 3},
    )
    assert arguments.keys() >= CONTRACT
    assert arguments == {
        "uri": "custom://Echo",
        "table": "my_data",
        "incremental_key": "updated_at",
        "primary_key": ["id"],
        "merge_key": None,
        "interval_start": None,
        "interval_end": None,
        "page_size": 10,
        "extract_parallelism": 2,
        "sql_backend": "pyarrow",
        "sql_reflection_level": None,
        "sql_limit": 5,
        "sql_exclude_columns": None,
        "api_url": "https://api.example",
        "retries": 3,
    }


def test_the_interval_arrives_as_aware_datetimes(repository) -> None:
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    arguments = got(repository, EVERYTHING, interval=(start, end))
    assert (arguments["interval_start"], arguments["interval_end"]) == (start, end)
    arguments = got(repository, EVERYTHING, interval=(start, None))
    assert (arguments["interval_start"], arguments["interval_end"]) == (start, None)


def test_merge_key_is_the_incremental_key_of_delete_and_insert(repository) -> None:
    arguments = got(repository, EVERYTHING, strategy="delete+insert", incremental_key="day")
    assert arguments["merge_key"] == "day"


def test_a_source_without_kwargs_gets_what_it_names_and_the_rest_is_logged(
    repository, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        arguments = got(
            repository,
            "nilus_source(self, uri, table, page_size, api_url='x')",
            page_size=7,
            options={"api_url": "https://api.example", "unheard": 1},
        )
    assert arguments == {
        "uri": "custom://Echo",
        "table": "my_data",
        "page_size": 7,
        "api_url": "https://api.example",
    }
    assert "does not name these source options: unheard" in caplog.text


def test_a_source_that_names_nothing_gets_nothing(repository) -> None:
    assert got(repository, "nilus_source(self)") == {}


def test_a_named_option_without_a_value_keeps_the_default_of_the_parameter(repository) -> None:
    arguments = got(repository, "nilus_source(self, uri, table, sql_backend='pandas', primary_key='id', **kwargs)")
    assert (arguments["sql_backend"], arguments["primary_key"]) == ("pandas", "id")


def test_a_required_option_without_a_value_is_none(repository) -> None:
    assert got(repository, "nilus_source(self, uri, table, incremental_key)")["incremental_key"] is None


def test_positional_only_and_keyword_only_parameters_are_given(repository) -> None:
    arguments = got(
        repository,
        "nilus_source(self, uri, table, batch=9, page_size=1, /, *, sql_limit, extra='none', **kwargs)",
        page_size=7,
        sql={"sql_limit": 5},
    )
    assert arguments["uri"] == "custom://Echo"
    assert arguments["table"] == "my_data"
    assert (arguments["batch"], arguments["page_size"], arguments["sql_limit"], arguments["extra"]) == (9, 7, 5, "none")
    assert "primary_key" in arguments


def test_a_required_parameter_that_nobody_gives_is_named_with_its_option(repository) -> None:
    with pytest.raises(SourceError) as caught:
        got(repository, "nilus_source(self, uri, table, api_url, token_name)")
    error = caught.value
    assert "Echo.nilus_source (my-custom-sources/echo.py:7) needs api_url, token_name" in error.message
    assert "api-url, token-name under source.options" in error.remedy
    assert not error.retryable


@pytest.mark.parametrize("name", ["uri", "table"])
def test_an_option_by_the_name_of_a_fixed_argument_is_refused(repository, name: str) -> None:
    with pytest.raises(WorkflowError, match=name):
        got(repository, EVERYTHING, options={name: "x"})


def test_incremental_key_is_ignored_with_a_warning_when_the_source_handles_incrementality(
    repository, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        arguments = got(
            repository,
            EVERYTHING,
            body="def handles_incrementality(self): return True",
            incremental_key="updated_at",
            strategy="delete+insert",
        )
    assert arguments["incremental_key"] is None
    assert arguments["merge_key"] is None
    assert "incremental-key 'updated_at' of the workflow is ignored" in caplog.text


def test_the_older_spelling_is_accepted(repository) -> None:
    assert got(repository, "dlt_source(self, uri, table, **kwargs)")["table"] == "my_data"


def test_the_spelling_of_the_most_derived_class_counts(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        class Base(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="of_base")

        class Derived(Base):
            def dlt_source(self, uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="of_derived")

        class Both(nilus.CustomSource):
            def dlt_source(self, uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="older")

            def nilus_source(self, uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="newer")
        """,
    )
    assert list(repository.source("custom://Base").resources) == ["of_base"]
    assert list(repository.source("custom://Derived").resources) == ["of_derived"]
    assert list(repository.source("custom://Both").resources) == ["newer"]


def test_a_class_with_neither_spelling_is_an_error_that_names_class_and_file(repository) -> None:
    repository.write("source.py", "import nilus\nclass Mute(nilus.CustomSource):\n    pass\n")
    with pytest.raises(SourceError) as caught:
        repository.source("custom://Mute")
    assert "Mute (my-custom-sources/source.py) defines neither nilus_source nor dlt_source" in caught.value.message
    assert not caught.value.retryable


def test_static_and_class_methods_and_functions_of_the_module_can_be_the_entry_point(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        def outside(self, uri, table, **kwargs):
            return nilus.resource([{"id": 1}], name="outside")

        class Static(nilus.CustomSource):
            @staticmethod
            def nilus_source(uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="static")

        class Class(nilus.CustomSource):
            @classmethod
            def nilus_source(cls, uri, table, **kwargs):
                return nilus.resource([{"id": 1}], name="class")

        class Outside(nilus.CustomSource):
            nilus_source = outside
        """,
    )
    for name in ("Static", "Class", "Outside"):
        assert list(repository.source(f"custom://{name}").resources) == [name.lower()]


def test_an_exception_of_the_source_names_class_file_line_and_can_be_tried_again(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus
        import helper

        class Failing(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return helper.connect()
        """,
    )
    repository.write("helper.py", "def connect():\n    raise ConnectionError('upstream is down')\n")
    with pytest.raises(SourceError) as caught:
        repository.source("custom://Failing")
    error = caught.value
    assert (
        "Failing.nilus_source (my-custom-sources/source.py:6) failed at my-custom-sources/helper.py:2" in error.message
    )
    assert "ConnectionError: upstream is down" in error.message
    assert error.retryable
    assert isinstance(error.__cause__, ConnectionError)


def test_a_source_that_ends_the_interpreter_is_an_error(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        class Exiting(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                raise SystemExit(2)
        """,
    )
    with pytest.raises(SourceError, match="SystemExit"):
        repository.source("custom://Exiting")


def test_an_error_of_this_project_passes_as_it_is(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus
        from nilus.errors import SourceError

        class Refusing(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                raise SourceError("no licence", remedy="buy one")
        """,
    )
    with pytest.raises(SourceError) as caught:
        repository.source("custom://Refusing")
    assert (caught.value.message, caught.value.remedy) == ("no licence", "buy one")


def test_a_missing_configuration_value_is_explained(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        @nilus.source
        def configured(uri, token: str = nilus.secrets.value):
            return nilus.resource([{"id": 1}], name="rows")

        class Configured(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return configured(uri)
        """,
    )
    with pytest.raises(SourceError) as caught:
        repository.load("custom://Configured")
    assert "source_env" in caught.value.remedy
    assert not caught.value.retryable


def test_sets_become_sorted_lists_at_any_depth_and_the_rest_is_the_same_object() -> None:
    plain = {"a": 1, "b": [1, 2], "c": {"d": (1, 2)}, "e": None, "f": datetime(2024, 1, 1, tzinfo=UTC)}
    assert sets_to_lists(plain) is plain
    row = {"a": {3, 1, 2}, "b": [{"c": frozenset("xy")}], "d": ({1}, 2), "e": plain, "m": {1, "a"}, "n": set()}
    before = {**row}
    converted = sets_to_lists(row)
    assert converted == {
        "a": [1, 2, 3],
        "b": [{"c": ["x", "y"]}],
        "d": [[1], 2],
        "e": plain,
        "m": ["a", 1],
        "n": [],
    }
    assert converted["e"] is plain
    assert row == before
    frame = object()
    assert sets_to_lists(frame) is frame


def test_the_alias_is_what_the_loader_sees() -> None:
    assert nilus.CustomSource.__module__ == "nilus.custom_source"


@pytest.mark.parametrize(
    ("head", "address", "options", "arguments"),
    [
        ("nilus_source(self, repo, endpoint, **kwargs)", "?repo=a%2Fb&endpoint=issues", {}, ("a/b", "issues")),
        ("nilus_source(self, repo, endpoint)", "?repo=x&end-point=no&endpoint=y&more=z", {}, ("x", "y")),
        ("nilus_source(self, repo, endpoint='all', **kwargs)", "?repo=x", {}, ("x", "all")),
        ("nilus_source(self, *, repo, endpoint, **kwargs)", "?repo=x&endpoint=y", {"endpoint": "z"}, ("x", "z")),
    ],
)
def test_parameters_of_the_address_and_options_arrive_by_name(repository, head, address, options, arguments):
    found = got(repository, head, f"custom://Echo{address}", options=options)
    assert (found["repo"], found["endpoint"]) == arguments
    assert "more" not in found, "what the signature does not name stays in the address"


def test_a_class_without_the_base_class_runs_and_the_log_says_what_it_lacks(repository, caplog):
    repository.write(
        "bare.py",
        "import nilus\nclass Bare:\n    def nilus_source(self, uri, table, **kwargs):\n"
        "        return nilus.resource([{'id': 1}], name='rows')\n",
    )
    repository.source("custom://Bare")
    assert "write `class Bare(nilus.CustomSource)`" in caplog.text


def test_a_method_that_lacks_an_import_of_nilus_is_told_to_add_it(repository):
    repository.write(
        "late.py", "class Late:\n    def nilus_source(self, uri, table):\n        return nilus.resource([])\n"
    )
    with pytest.raises(SourceError) as caught:
        repository.source("custom://Late")
    assert caught.value.remedy == "add `import nilus` at the top of the file"
    assert not caught.value.retryable
