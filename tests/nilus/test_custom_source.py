"""The base classes, and decorated functions of a class."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import dlt
import pytest
from dlt.extract import DltResource

import nilus
from nilus.errors import DestinationError, SourceError


class Numbers(nilus.CustomSource):
    """A source with every kind of decorated function."""

    def __init__(self, count: int = 3) -> None:
        self.count = count

    @nilus.resource(table_name="numbers", primary_key="id", write_disposition="merge", max_table_nesting=2)
    def generator(self, factor: int = 1):
        """Numbers."""
        for number in range(self.count):
            yield {"id": number * factor}

    @nilus.resource
    async def async_generator(self, factor: int = 1):
        for number in range(self.count):
            yield {"id": number * factor}

    @nilus.resource
    def plain(self, factor):
        return [{"id": self.count * factor}]

    @nilus.resource
    def incremental(self, cursor=nilus.sources.incremental("id", initial_value=1)):  # noqa: B008
        for number in range(self.count):
            yield {"id": number, "start": cursor.start_value}

    @nilus.resource(parallelized=True)
    def parallel(self):
        for number in range(self.count):
            yield {"id": number}

    @nilus.transformer(data_from=generator)
    def doubled(self, item):
        yield {"double": item["id"] * 2, "count": self.count}

    @nilus.transformer
    def plus(self, item, addend):
        yield {"sum": item["id"] + addend + self.count}

    @nilus.transformer
    @nilus.defer
    def deferred(self, item):
        return {"deferred": item["id"] + self.count}

    @nilus.resource
    def without_self(factor=5):
        yield {"factor": factor}

    @staticmethod
    @nilus.resource
    def static(factor=5):
        yield {"factor": factor}

    @nilus.source
    def both(self, uri, table=None, **kwargs):
        return self.generator, self.doubled

    @nilus.source(name="yielding")
    def yielded(self, uri):
        yield self.generator(2)


def ids(resource: Any) -> list[int]:
    return sorted(row["id"] for row in resource)


def test_handles_incrementality_is_false_by_default() -> None:
    assert Numbers().handles_incrementality() is False


def test_a_source_without_an_entry_point_says_which_class_and_file() -> None:
    with pytest.raises(SourceError, match=r"Numbers .*test_custom_source\.py.* defines no nilus_source"):
        Numbers().nilus_source("custom://Numbers", "t")


def test_a_destination_says_which_method_it_lacks() -> None:
    class Sink(nilus.CustomDestination):
        pass

    with pytest.raises(DestinationError, match=r"Sink .* defines no nilus_dest"):
        Sink().nilus_dest("custom://Sink")
    with pytest.raises(DestinationError, match=r"Sink .* defines no nilus_run_params"):
        Sink().nilus_run_params("custom://Sink", "raw")
    assert Sink().post_load() is None


@pytest.mark.parametrize("name", ["generator", "async_generator", "parallel"])
def test_a_resource_with_self_works_called_and_uncalled(name: str) -> None:
    two, four = Numbers(2), Numbers(4)
    assert ids(getattr(two, name)) == [0, 1]
    assert ids(getattr(two, name)()) == [0, 1]
    assert ids(getattr(four, name)()) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["generator", "async_generator"])
def test_a_resource_with_self_takes_arguments(name: str) -> None:
    assert ids(getattr(Numbers(3), name)(10)) == [0, 10, 20]
    assert ids(getattr(Numbers(3), name)(factor=7)) == [0, 7, 14]


def test_a_plain_function_with_self_needs_the_arguments_it_names() -> None:
    assert ids(Numbers(3).plain(5)) == [15]
    with pytest.raises(TypeError, match="factor"):
        Numbers(3).plain()


def test_an_incremental_default_works_with_self() -> None:
    assert list(Numbers(4).incremental) == [{"id": number, "start": 1} for number in (1, 2, 3)]
    later = Numbers(4).incremental(nilus.sources.incremental("id", initial_value=2))
    assert list(later) == [{"id": number, "start": 2} for number in (2, 3)]


def test_instances_are_independent() -> None:
    one, other = Numbers(1), Numbers(2)
    one.generator.apply_hints(table_name="renamed")
    one.generator.add_map(lambda row: {"id": row["id"] + 100})
    assert ids(one.generator) == [100]
    assert ids(other.generator) == [0, 1]
    assert other.generator.table_name == "numbers"
    assert Numbers.generator.table_name == "numbers"


def test_an_instance_gives_the_same_resource_each_time() -> None:
    numbers = Numbers()
    assert numbers.generator is numbers.generator
    assert numbers.generator is not Numbers().generator


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_of_an_instance_gets_resources_of_its_own(copied: Any) -> None:
    numbers = Numbers(3)
    assert ids(numbers.generator) == [0, 1, 2]
    twin = copied(numbers)
    twin.count = 1
    assert ids(twin.generator) == [0]
    assert ids(numbers.generator) == [0, 1, 2]


def test_name_hints_section_signature_and_doc_are_kept() -> None:
    bound, decorated = Numbers().generator, Numbers.generator
    assert isinstance(bound, DltResource)
    assert bound.name == "generator"
    assert bound.section == decorated.section
    assert bound.compute_table_schema() == decorated.compute_table_schema()
    assert bound.max_table_nesting == 2
    assert bound.__doc__ == "Numbers."
    assert list(inspect.signature(bound).parameters) == ["factor"]


def test_the_class_gives_what_the_decorator_made() -> None:
    assert ids(Numbers.generator(Numbers(2))) == [0, 1]


@pytest.mark.parametrize("name", ["without_self", "static"])
def test_a_resource_without_self_works_on_instance_and_class(name: str) -> None:
    assert list(getattr(Numbers(), name)()) == [{"factor": 5}]
    assert list(getattr(Numbers(), name)) == [{"factor": 5}]
    assert list(getattr(Numbers(), name)(7)) == [{"factor": 7}]
    assert list(getattr(Numbers, name)()) == [{"factor": 5}]


def test_a_transformer_of_the_class_reads_from_the_resource_of_its_instance() -> None:
    assert list(Numbers(2).doubled) == [{"double": 0, "count": 2}, {"double": 2, "count": 2}]
    assert list(Numbers(1).doubled) == [{"double": 0, "count": 1}]


def test_a_transformer_with_self_can_be_piped_into_and_take_arguments() -> None:
    numbers = Numbers(2)
    assert list(numbers.generator | numbers.plus(10)) == [{"sum": 12}, {"sum": 13}]
    assert sorted(row["deferred"] for row in numbers.generator | numbers.deferred) == [2, 3]


def test_a_source_function_with_self_works() -> None:
    source = Numbers(2).both("custom://Numbers")
    assert source.name == "both"
    assert list(source.resources) == ["generator", "doubled"]
    rows = list(source)
    # The parent is extracted once, although it is also the transformer's.
    assert sorted(row["id"] for row in rows if "id" in row) == [0, 1]
    assert sorted(row["double"] for row in rows if "double" in row) == [0, 2]


def test_a_source_function_with_self_keeps_its_name_and_may_yield() -> None:
    source = Numbers(2).yielded("custom://Numbers")
    assert source.name == "yielding"
    assert ids(source) == [0, 2]


def test_resources_of_a_mixin_and_of_a_base_class_are_bound_too() -> None:
    class Mixin:
        @nilus.resource
        def mixed(self):
            yield {"id": self.count}

    class Derived(Mixin, Numbers):
        @nilus.resource
        def generator(self):
            yield from ({"id": row["id"] + 1000} for row in super().generator)

    assert ids(Derived(4).mixed) == [4]
    assert ids(Derived(2).generator) == [1000, 1001]
    assert ids(Derived(2).plain(3)) == [6]


def test_a_decorator_of_the_users_below_is_kept() -> None:
    def noting(function):
        def noted(self, *args):
            self.notes.append(function.__name__)
            return function(self, *args)

        noted.__wrapped__ = function
        noted.__name__ = function.__name__
        return noted

    class Noted(nilus.CustomSource):
        def __init__(self):
            self.notes = []

        @nilus.resource
        @noting
        def fetch(self):
            yield {"id": 1}

    source = Noted()
    assert ids(source.fetch) == [1]
    assert source.notes == ["fetch"]


def test_a_class_with_slots_works() -> None:
    class Slotted:
        __slots__ = ("count",)

        def __init__(self) -> None:
            self.count = 2

        @nilus.resource
        def fetch(self):
            yield {"id": self.count}

    from nilus.class_resource import bind_decorated

    bind_decorated(Slotted)
    bind_decorated(Slotted)
    assert ids(Slotted().fetch) == [2]


def test_a_dynamic_name_is_evaluated_for_a_bound_resource() -> None:
    class Dynamic(nilus.CustomSource):
        @nilus.resource(name=lambda args: f"events_{args['kind']}")
        def fetch(self, kind):
            yield {"kind": kind}

    assert Dynamic().fetch("click").name == "events_click"


def test_steps_added_in_the_class_body_are_kept() -> None:
    class Stepped(nilus.CustomSource):
        @nilus.resource
        def fetch(self):
            yield from ({"id": number} for number in range(5))

        fetch.add_filter(lambda row: row["id"] % 2 == 0)
        fetch.add_limit(2)

    assert ids(Stepped().fetch) == [0, 2]
    assert ids(Stepped().fetch()) == [0, 2]


def test_the_decorators_are_dlts_own() -> None:
    assert nilus.resource is dlt.resource
    assert nilus.source is dlt.source
