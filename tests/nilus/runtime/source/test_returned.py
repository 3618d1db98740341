"""What may come back from `nilus_source`, run for real into DuckDB; and what may not."""

from __future__ import annotations

from typing import Any

import pytest

from nilus.errors import NilusError, SourceError

HEAD = """
import asyncio
import nilus

@nilus.resource
def items(count=2):
    for number in range(count):
        yield {"id": number}

@nilus.resource(table_name="renamed", write_disposition="append")
def others():
    yield {"id": 10}

@nilus.resource
async def asynchronous():
    for number in range(2):
        await asyncio.sleep(0)
        yield {"id": number}

@nilus.resource
async def coroutine():
    return [{"id": 0}, {"id": 1}]

@nilus.transformer
def doubled(item):
    yield {"double": item["id"] * 2}

@nilus.transformer(data_from=items)
def attached(item):
    yield {"double": item["id"] * 2}

@nilus.source
def my_source(uri, table, **kwargs):
    return items(), others

@nilus.source(name="renamed_source")
def my_renamed_source(uri, table):
    return items

@nilus.source
def yielding(uri, table, **kwargs):
    for name in ("first", "second"):
        def fetch(name=name):
            yield {"name": name}
        yield nilus.resource(fetch, name=name, table_name=f"t_{name}", write_disposition="append")

@nilus.source
def yielding_lambdas(uri, table, **kwargs):
    yield nilus.resource(lambda: [{"id": 0}, {"id": 1}], name="of_lambda", table_name=table)
    yield nilus.resource(lambda: iter([{"id": 2}]), name="of_lambda_2", table_name=table)

@nilus.source
async def asynchronous_source(uri, table, **kwargs):
    await asyncio.sleep(0)
    return items

@nilus.source
def source_of_none(uri, table, **kwargs):
    items()

@nilus.source
def source_of_a_dict(uri, table, **kwargs):
    return {"id": 1}

@nilus.source
def source_of_rows(uri, table, **kwargs):
    return [{"id": 1}]

@nilus.source
def source_of_yielded_rows(uri, table, **kwargs):
    yield {"id": 1}

@nilus.source
def source_of_twins(uri, table, **kwargs):
    return items(), items()

@nilus.resource
def nothing():
    items()

@nilus.resource
def one_dict():
    return {"id": 1}

@nilus.resource
def one_number():
    return 7

@nilus.resource
def no_rows():
    yield from ()

@nilus.resource
def with_arguments(tenant, region):
    yield {"tenant": tenant}

def plain_generator():
    yield {"id": 5}

def rows_of_the_function():
    yield {"id": 5}

class Plain(nilus.CustomSource):
    size = 2

    @nilus.resource
    def own(self):
        for number in range(self.size):
            yield {"id": number}

    @nilus.resource
    def own_without_self():
        yield {"id": 0}
        yield {"id": 1}

    def nilus_source(self, uri, table, **kwargs):
        {code}
"""

TWO = [{"id": 0}, {"id": 1}]
TEN = [{"id": 10}]
DOUBLE = [{"double": 0}, {"double": 2}]


def write(repository, code: str) -> None:
    repository.write("my_plain.py", HEAD.replace("{code}", code.replace("\n", "\n        ")))


@pytest.mark.parametrize(
    ("code", "name", "tables"),
    [
        ("return my_source(uri, table, **kwargs)", "my_source", {"items": TWO, "renamed": TEN}),
        ("return my_source", "my_source", {"items": TWO, "renamed": TEN}),
        ("return my_renamed_source", "renamed_source", {"items": TWO}),
        ("return [my_source]", "my_source", {"items": TWO, "renamed": TEN}),
        ("return (my_source(uri, table),)", "my_source", {"items": TWO, "renamed": TEN}),
        ("return items()", "plain", {"items": TWO}),
        ("return items", "plain", {"items": TWO}),
        ("return items(3)", "plain", {"items": [*TWO, {"id": 2}]}),
        ("return items, others()", "plain", {"items": TWO, "renamed": TEN}),
        ("return [items(), others]", "plain", {"items": TWO, "renamed": TEN}),
        ("return my_source(uri, table).resources.values()", "plain", {"items": TWO, "renamed": TEN}),
        ("return [items, items.with_name('twin')]", "plain", {"items": TWO, "twin": TWO}),
        ("yield items\nyield others", "plain", {"items": TWO, "renamed": TEN}),
        ("return yielding(uri, table)", "yielding", {"t_first": [{"name": "first"}], "t_second": [{"name": "second"}]}),
        ("return yielding_lambdas(uri, table)", "yielding_lambdas", {"my_data": [*TWO, {"id": 2}]}),
        ("return nilus.resource(lambda: [{'id': 5}], name='l', table_name='tt')", "plain", {"tt": [{"id": 5}]}),
        ("return self.own", "plain", {"own": TWO}),
        ("self.size = 1\nreturn self.own()", "plain", {"own": TWO[:1]}),
        ("return self.own_without_self", "plain", {"own_without_self": TWO}),
        ("return self.own_without_self()", "plain", {"own_without_self": TWO}),
        ("return Plain.own_without_self()", "plain", {"own_without_self": TWO}),
        ("return Plain.own(self)", "plain", {"own": TWO}),
        ("return asynchronous", "plain", {"asynchronous": TWO}),
        ("return asynchronous()", "plain", {"asynchronous": TWO}),
        ("return coroutine", "plain", {"coroutine": TWO}),
        ("return coroutine()", "plain", {"coroutine": TWO}),
        ("return asynchronous_source(uri, table)", "asynchronous_source", {"items": TWO}),
        ("return asynchronous_source", "asynchronous_source", {"items": TWO}),
        ("return items | doubled", "plain", {"doubled": DOUBLE}),
        ("return items() | doubled", "plain", {"doubled": DOUBLE}),
        ("return items, attached", "plain", {"items": TWO, "attached": DOUBLE}),
        ("return attached", "plain", {"attached": DOUBLE}),
        ("return plain_generator", "plain", {"plain_generator": [{"id": 5}]}),
        ("return nilus.resource(rows_of_the_function)", "plain", {"rows_of_the_function": [{"id": 5}]}),
        ("return nilus.resource([{'id': 5}], name='literal')", "plain", {"literal": [{"id": 5}]}),
        ("return nilus.resource(rows_of_the_function(), name='drawn')", "plain", {"drawn": [{"id": 5}]}),
        ("return no_rows", "plain", {}),
        ("return no_rows(), items()", "plain", {"items": TWO}),
        ("return []", "plain", {}),
    ],
)
def test_what_comes_back_becomes_one_source_and_its_rows_are_loaded(
    repository, code: str, name: str, tables: dict[str, Any]
) -> None:
    write(repository, code)
    loaded = repository.load("custom://Plain")
    assert {table: sorted(rows, key=str) for table, rows in loaded.items()} == {
        table: sorted(rows, key=str) for table, rows in tables.items()
    }
    assert repository.source("custom://Plain").name == name


def test_an_asynchronous_entry_point_is_awaited(repository) -> None:
    repository.write(
        "source.py",
        """
        import asyncio
        import nilus

        class Awaited(nilus.CustomSource):
            async def nilus_source(self, uri, table, **kwargs):
                await asyncio.sleep(0)
                return nilus.resource([{"id": 1}], name="rows")

        class Streamed(nilus.CustomSource):
            async def nilus_source(self, uri, table, **kwargs):
                yield nilus.resource([{"id": 1}], name="rows")
                yield nilus.resource([{"id": 2}], name="more")
        """,
    )
    assert repository.load("custom://Awaited") == {"rows": [{"id": 1}]}
    assert repository.load("custom://Streamed") == {"rows": [{"id": 1}, {"id": 1}], "more": [{"id": 2}]}


@pytest.mark.parametrize("decorator", ["@nilus.source", "@nilus.resource", "@nilus.source()", "@nilus.resource()"])
def test_a_decorated_entry_point_works(repository, decorator: str) -> None:
    body = "yield {'id': 1, 'uri': uri}" if "resource" in decorator else "return nilus.resource([{'id': 1}], name='r')"
    repository.write(
        "source.py",
        f"""
        import nilus

        class Decorated(nilus.CustomSource):
            {decorator}
            def nilus_source(self, uri, table, **kwargs):
                {body}
        """,
    )
    rows = [{"id": 1, "uri": "custom://Decorated?a=1"}] if "resource" in decorator else [{"id": 1}]
    assert list(repository.load("custom://Decorated?a=1").values()) == [rows]


def failure(repository, code: str) -> NilusError:
    """Return our error, wherever between the call and the end of extraction it was raised."""
    write(repository, code)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what this function finds out
        repository.load("custom://Plain")
    inner: Any = caught.value
    while inner is not None and not isinstance(inner, NilusError):
        inner = inner.__cause__ or getattr(inner, "exception", None)
    assert inner is not None, repr(caught.value)
    return inner


@pytest.mark.parametrize(
    ("code", "fault", "remedy"),
    [
        ("my_source(uri, table)", "returned None", "add the missing return"),
        ("return {'id': 1}", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("return [{'id': 1}]", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("return [items, None]", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("yield {'id': 1}", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("return 'items'", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("return 7", "neither a source nor a resource", "yield the rows from a function decorated"),
        ("import pandas\nreturn pandas.DataFrame({'id': [1]})", "neither a source nor a resource", "yield the rows"),
        ("import pyarrow\nreturn pyarrow.table({'id': [1]})", "neither a source nor a resource", "yield the rows"),
        ("return source_of_none(uri, table)", "a source function returned None", "add the missing return"),
        ("return source_of_a_dict(uri, table)", "gave rows or values instead of resources", "@nilus.resource"),
        ("return source_of_rows(uri, table)", "gave rows or values instead of resources", "@nilus.resource"),
        ("return source_of_yielded_rows(uri, table)", "gave rows or values instead of resources", "@nilus.resource"),
        ("return source_of_twins(uri, table)", "two resources have the same name", "with_name"),
        ("return items, items", "two resources have the same name", "with_name"),
        ("return my_source(uri, table), yielding(uri, table)", "returned several sources", "resources.values()"),
        ("return nothing", "resource 'nothing' yields nothing", "yield the rows"),
        ("return nothing()", "resource 'nothing' yields nothing", "yield the rows"),
        ("return one_dict", "resource 'one_dict' yields nothing", "yield the rows"),
        ("return one_dict()", "returned a bare dict", "yield the rows"),
        ("return one_number", "returned a bare int", "yield the rows"),
        ("return nilus.resource(lambda: None, name='empty')", "resource 'empty' yields nothing", "yield the rows"),
        ("return with_arguments", "resource 'with_arguments' needs arguments", "call it where it is returned"),
        ("return doubled", "transformer 'doubled' has no resource to read from", "some_resource | doubled"),
        (
            "return items, nilus.resource({'id': 1}, name='d')",
            "dlt refuses what the source gave it",
            "dlt's own message",
        ),
        ("return items.with_name('a') | nilus.resource([1], name='b')", "dlt refuses", "dlt's own message"),
    ],
)
def test_what_is_no_source_is_an_error_with_class_file_and_remedy(
    repository, code: str, fault: str, remedy: str
) -> None:
    error = failure(repository, code)
    assert isinstance(error, SourceError)
    assert "Plain.nilus_source (my-custom-sources/my_plain.py:" in error.message
    assert fault in error.message
    assert remedy in error.remedy
    assert error.expected
    assert error.found
    assert not error.retryable


def test_values_do_not_appear_in_the_error(repository) -> None:
    assert "geheim" not in str(failure(repository, "return [{'token': 'geheim'}]"))
    assert "geheim" not in str(failure(repository, "return 'geheim'"))


def test_resources_are_selected_by_name(repository) -> None:
    write(repository, "return items, others, self.own")
    assert repository.load("custom://Plain", resources=["others", "own"]) == {"renamed": TEN, "own": TWO}


def test_a_selected_transformer_brings_its_parent_but_does_not_load_it(repository) -> None:
    write(repository, "return items, attached")
    assert repository.load("custom://Plain", resources=["attached"]) == {"attached": DOUBLE}


def test_a_resource_that_is_not_there_is_an_error_that_lists_them_nearest_first(repository) -> None:
    write(repository, "return self.own, others, items")
    with pytest.raises(SourceError) as caught:
        repository.source("custom://Plain", resources=["own", "itmes"])
    assert "no resource 'itmes'" in caught.value.message
    assert caught.value.expected.startswith("resources of source 'plain': items")
    assert "others" in caught.value.expected
    with pytest.raises(SourceError, match="no resource is selected"):
        repository.source("custom://Plain", resources=[])


def test_a_resource_that_says_no_disposition_has_none_in_its_hints(repository) -> None:
    write(repository, "return items, others, nilus.resource(plain_generator), attached")
    source = repository.source("custom://Plain")
    own = {name: (resource._hints or {}).get("write_disposition") for name, resource in source.resources.items()}
    assert own == {"items": None, "others": "append", "plain_generator": None, "attached": None}
    assert source.resources["items"].write_disposition == "append"


def test_an_explicit_append_is_told_from_the_default_when_bound_to_an_instance(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        class Bound(nilus.CustomSource):
            @nilus.resource(write_disposition="append")
            def explicit(self):
                yield {"id": 1}

            @nilus.resource
            def default(self):
                yield {"id": 1}

            def nilus_source(self, uri, table, **kwargs):
                return self.explicit, self.default(), self.default.with_name("renamed")
        """,
    )
    resources = repository.source("custom://Bound").resources
    assert {name: "write_disposition" in resource._hints for name, resource in resources.items()} == {
        "explicit": True,
        "default": False,
        "renamed": False,
    }


def test_rows_may_be_dicts_lists_frames_and_arrow_and_sets_become_lists(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus
        import pandas
        import pyarrow

        @nilus.resource
        def dicts():
            yield {"id": 1, "tags": {"b", "a"}, "deep": {"more": [{1}]}}

        @nilus.resource
        def lists():
            yield [{"id": 1, "tags": {2, 1}}, {"id": 2, "tags": [3]}]

        @nilus.resource
        def frames():
            yield pandas.DataFrame({"id": [1, 2]})

        @nilus.resource
        def returned_frame():
            return pandas.DataFrame({"id": [1, 2]})

        @nilus.resource
        def tables():
            yield pyarrow.table({"id": [1, 2]})

        @nilus.resource
        def batches():
            yield pyarrow.record_batch({"id": [1, 2]})

        @nilus.transformer(data_from=dicts)
        def from_sets(item):
            yield {"id": item["id"], "tags": set(item["tags"]) | {"c"}}

        @nilus.source
        def rows(uri, table, **kwargs):
            return dicts, lists, frames, returned_frame, tables, batches, from_sets

        class Rows(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return rows(uri, table)
        """,
    )
    two = [{"id": 1}, {"id": 2}]
    assert repository.load("custom://Rows") == {
        "dicts": [{"id": 1, "tags": '["a","b"]', "deep": '{"more":[[1]]}'}],
        "lists": [{"id": 1, "tags": "[1,2]"}, {"id": 2, "tags": "[3]"}],
        "frames": two,
        "returned_frame": two,
        "tables": two,
        "batches": two,
        "from_sets": [{"id": 1, "tags": '["a","b","c"]'}],
    }


def test_a_set_does_not_disturb_an_incremental_without_a_key(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        @nilus.resource
        def rows(cursor=nilus.sources.incremental("id")):
            yield [{"id": 1, "tags": {"x"}}, {"id": 2, "tags": {"y", "z"}}]

        class Rows(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return rows
        """,
    )
    expected = {"rows": [{"id": 1, "tags": '["x"]'}, {"id": 2, "tags": '["y","z"]'}]}
    assert repository.load("custom://Rows") == expected
    assert repository.load("custom://Rows") == expected


def test_a_source_gets_none_of_the_workers_environment_into_its_defaults(
    repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAST", "from the worker")
    repository.write(
        "source.py",
        """
        import nilus

        @nilus.resource
        def rows(path: str = None, last=None):
            yield {"path": str(path), "last": str(last)}

        class Rows(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return rows
        """,
    )
    assert repository.load("custom://Rows") == {"rows": [{"path": "None", "last": "None"}]}
