"""What is not public API of dlt, pyiceberg and Airflow is touched in the internals alone, and in subclasses."""

from __future__ import annotations

import pytest
from fresh_process import lines_of
from private_names import EXCEPTIONS, ROOT, SUBCLASSES, all_touches, touches


def undeclared() -> list[str]:
    """Return what is touched outside the internals, and is no declared subclass's."""
    return [str(touch) for touch in all_touches() if touch.name not in SUBCLASSES.get(touch.path, ())]


def test_what_is_not_public_is_touched_in_the_internals_and_in_subclasses_alone() -> None:
    broken = lines_of("test_private_names:undeclared()")
    assert not broken, "Put these behind a function of an internals module (see docs/development.md):\n" + "\n".join(
        broken
    )


def test_every_exception_is_still_needed() -> None:
    found: dict[str, set[str]] = {}
    for touch in all_touches():
        found.setdefault(touch.path, set()).add(touch.name)
    unused = {path: sorted(names - found.get(path, set())) for path, names in SUBCLASSES.items()}
    assert {path: names for path, names in unused.items() if names} == {}
    for path in EXCEPTIONS:
        assert list(touches(path, (ROOT / path).read_text(), set())), path


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from dlt.common.json import _impl", "_impl"),
        ("from pyiceberg.io.pyarrow import _dataframe_to_data_files", "_dataframe_to_data_files"),
        ("from airflow.models.xcom import XComModel", "XComModel"),
        ("from dlt.extract import pipe", "pipe"),
        ("def f(resource):\n    return resource._pipe", "_pipe"),
        ("import dlt\n\nx = dlt.current._state", "_state"),
        ("from dlt import Base\n\nclass A(Base):\n    def f(self):\n        return self._client", "_client"),
        ("from dlt import Base\n\nclass A(Base):\n    def f(self):\n        return super()._run()", "_run"),
        ("import dlt\n\nclass A:\n    _pipe = 1\n\ndef f(resource):\n    return resource._pipe", "_pipe"),
        ("import dlt\n\nsetattr(dlt.thing, '_hook', 1)", "_hook"),
    ],
)
def test_a_private_name_is_seen(source: str, name: str) -> None:
    assert [touch.name for touch in touches("some.py", source, set())] == [name]


@pytest.mark.parametrize(
    "source",
    [
        "from dlt.extract import DltResource",
        "from dlt.extract.exceptions import PipeException",
        "from dlt.extract import exceptions",
        "import os\n\nos._exit(1)",
        "from jinja2 import Compiler\n\nclass A(Compiler):\n    def f(self):\n        return self._x",
        "class A:\n    def __init__(self):\n        self._x = 1\n\n    def f(self):\n        return self._x",
        "class A:\n    _x = 1\n\n    def __eq__(self, other):\n        return self._x == other._x",
        "x.__class__",
    ],
)
def test_a_public_name_and_one_of_ours_are_passed_over(source: str) -> None:
    assert list(touches("some.py", source, set())) == []
