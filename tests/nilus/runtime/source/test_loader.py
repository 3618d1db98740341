"""Finding the class."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from nilus.errors import SourceError
from nilus.runtime.source import class_finder

SOURCE = """
import nilus

class {name}(nilus.CustomSource):
    {body}
    def nilus_source(self, uri, table, **kwargs):
        return nilus.resource([{{"id": 1}}], name="rows")
"""


def source(name: str, body: str = "") -> str:
    return SOURCE.format(name=name, body=body)


def refused(repository, address: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        repository.find(address)
    return caught.value


def test_a_class_is_found_with_its_case_kept(repository) -> None:
    repository.write("one.py", source("mysource"))
    repository.write("two.py", source("MySource"))
    found = repository.find("custom://MySource?a=1")
    assert (found.class_name, found.cls.__name__, found.file) == ("MySource", "MySource", "my-custom-sources/two.py")


def test_an_address_that_is_not_custom_is_refused(repository) -> None:
    error = refused(repository, "postgresql://u:p@host/db")
    assert "Only custom sources are run here" in str(error)


@pytest.mark.parametrize("base_dir", ["my-custom-sources", "sources", "deep/er/sources", "."])
def test_a_class_in_the_init_file_is_found(make_repository: Callable, base_dir: str) -> None:
    repository = make_repository(base_dir=base_dir)
    repository.write("__init__.py", source("MySource"))
    assert repository.find("custom://MySource").file == f"{base_dir}/__init__.py".removeprefix("./")


@pytest.mark.parametrize("base_dir", ["my-custom-sources", "sources", "."])
@pytest.mark.parametrize("statement", ["from sibling import MySource", "from .sibling import MySource"])
def test_a_reexport_counts_and_the_defining_file_is_named(
    make_repository: Callable, base_dir: str, statement: str
) -> None:
    repository = make_repository(base_dir=base_dir)
    repository.write("__init__.py", statement)
    repository.write("sibling.py", source("MySource"))
    found = repository.find("custom://MySource")
    assert found.file == f"{base_dir}/sibling.py".removeprefix("./")


def test_a_class_of_a_nested_package_is_found_through_its_reexport(repository) -> None:
    repository.write("nested/__init__.py", "")
    repository.write("nested/deep.py", source("MySource"))
    repository.write("entry.py", "from nested.deep import MySource")
    assert repository.find("custom://MySource").file == "my-custom-sources/nested/deep.py"


def test_an_alias_of_a_class_is_found_by_its_alias(repository) -> None:
    repository.write("one.py", source("Original") + "\nPublic = Original\n")
    found = repository.find("custom://Public")
    assert (found.class_name, found.cls.__name__) == ("Public", "Original")


def test_a_class_that_a_star_import_brings_is_found(repository) -> None:
    repository.write("nested/__init__.py", source("MySource"))
    repository.write("entry.py", "from nested import *")
    assert repository.find("custom://MySource").file == "my-custom-sources/nested/__init__.py"


def test_nested_packages_are_not_searched_but_the_error_says_where_the_class_is(repository) -> None:
    repository.write("one.py", source("Other"))
    repository.write("nested/deep.py", source("MySource"))
    error = refused(repository, "custom://MySource")
    assert "my-custom-sources/nested/deep.py defines it" in error.remedy


def test_a_broken_file_beside_it_does_not_hide_the_class(repository) -> None:
    repository.write("a_broken.py", "import no_such_module_at_all")
    repository.write("b_broken.py", "def (:")
    repository.write("c_exits.py", "raise SystemExit(3)")
    repository.write("d_source.py", source("MySource"))
    assert repository.find("custom://MySource").file == "my-custom-sources/d_source.py"


def test_a_file_that_has_nothing_to_do_with_the_class_is_not_executed(repository, tmp_path) -> None:
    marker = tmp_path / "executed"
    touch = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    repository.write("conftest.py", touch)
    repository.write("setup.py", touch + "import sys; sys.exit(1)")
    repository.write("trial_run.py", touch + "from source import MySource\nMySource().nilus_source('u', 't')")
    repository.write("source.py", source("MySource"))
    repository.find("custom://MySource")
    assert not marker.exists()


def test_broken_files_are_named_when_the_class_is_not_found(repository) -> None:
    repository.write("missing.py", "\n\nimport no_such_module_at_all")
    repository.write("syntax.py", "x = 1\ndef (:")
    repository.write("exits.py", "import sys\nsys.exit('usage: exits')")
    repository.write("good.py", source("Good"))
    error = refused(repository, "custom://MySource")
    assert "my-custom-sources/missing.py:3: ModuleNotFoundError: No module named 'no_such_module_at_all'" in error.found
    assert "my-custom-sources/syntax.py:2: SyntaxError" in error.found
    assert "my-custom-sources/exits.py:2: SystemExit: usage: exits" in error.found
    assert "Good" in error.found
    assert not error.retryable


def test_when_the_file_with_the_class_is_broken_the_error_is_about_that_file(repository) -> None:
    repository.write("source.py", "import no_such_module_at_all\n" + source("MySource"))
    repository.write("good.py", source("Good"))
    error = refused(repository, "custom://MySource")
    assert "my-custom-sources/source.py cannot be imported" in str(error)
    assert "my-custom-sources/source.py:1: ModuleNotFoundError" in error.found
    assert "requirements.txt" in error.remedy
    assert isinstance(error.__cause__, ModuleNotFoundError)


def test_a_missing_package_names_the_files_of_the_repository_that_do_not_count(repository) -> None:
    repository.write("source.py", "import no_such_module_at_all\n" + source("MySource"))
    repository.write("../requirements.txt", "no_such_module_at_all")
    repository.write("uv.lock", "")
    remedy = refused(repository, "custom://MySource").remedy
    assert "to requirements.txt in my-custom-sources (my-custom-sources/uv.lock, requirements.txt: not read)" in remedy


def test_an_interrupt_is_not_held_back(repository) -> None:
    repository.write("source.py", "raise KeyboardInterrupt\n" + source("MySource"))
    with pytest.raises(KeyboardInterrupt):
        repository.find("custom://MySource")


def test_classes_that_were_found_are_listed_with_the_nearest_first(repository) -> None:
    repository.write("one.py", source("Anything") + source("RandomUsersSource"))
    repository.write("two.py", source("Zebra") + "\nclass NotASource:\n    pass\n")
    error = refused(repository, "custom://randomusersource")
    assert error.found.startswith("the classes RandomUsersSource, ")
    assert sorted(error.found.removeprefix("the classes ").split(", ")) == ["Anything", "RandomUsersSource", "Zebra"]
    assert "RandomUsersSource?" in error.remedy
    assert "my-custom-sources" in error.message


def test_the_base_class_itself_is_not_a_source(repository) -> None:
    repository.write("one.py", "from nilus import CustomSource\n")
    assert "no class of a source" in refused(repository, "custom://CustomSource").found


def test_a_thing_of_that_name_that_is_no_class_is_told(repository) -> None:
    repository.write("one.py", "def MySource(): pass")
    assert "my-custom-sources/one.py has a function of that name" in refused(repository, "custom://MySource").found


def test_two_different_classes_of_one_name_are_an_error_that_names_both_files(repository) -> None:
    repository.write("one.py", source("MySource"))
    repository.write("two.py", source("MySource"))
    error = refused(repository, "custom://MySource")
    assert "my-custom-sources/one.py and my-custom-sources/two.py" in error.found


def test_the_same_file_under_two_module_names_is_one_class(make_repository: Callable) -> None:
    repository = make_repository(base_dir="sources")
    repository.write("__init__.py", "")
    repository.write("source.py", source("MySource"))
    repository.write("flat.py", "from source import MySource\n")
    repository.write("absolute.py", "from sources.source import MySource\nclass MySourceTest: pass\n")
    assert repository.find("custom://MySource").file == "sources/source.py"


def test_a_file_is_executed_once_however_it_is_imported(repository) -> None:
    repository.write("counter.py", "executed = []")
    repository.write("__init__.py", "from source import MySource as Reexported")
    repository.write("source.py", "import counter, helper\ncounter.executed.append(__name__)\n" + source("MySource"))
    repository.write("helper.py", "import source")
    repository.find("custom://MySource")
    import counter

    assert len(counter.executed) == 1


@pytest.mark.parametrize("init", ["", None, "import no_such_module_at_all", "raise SystemExit(1)"])
@pytest.mark.parametrize("base_dir", ["my-custom-sources", "sources", "deep-er/sources", ".", "class", "2024 sources"])
def test_siblings_are_imported_flat_and_relative(make_repository: Callable, base_dir: str, init: str | None) -> None:
    repository = make_repository(base_dir=base_dir)
    if init is not None:
        repository.write("__init__.py", init)
    repository.write("sibling.py", "value = 41")
    repository.write("other.py", "value = 1")
    repository.write(
        "source.py",
        "from sibling import value\nfrom .other import value as one\n" + source("MySource", "v = value + one"),
    )
    assert repository.find("custom://MySource").cls.v == 42


def test_the_documentations_absolute_import_from_the_root_works(make_repository: Callable) -> None:
    repository = make_repository(base_dir="examples/custom_source")
    repository.write("random_users.py", "value = 42")
    repository.write(
        "nilus_custom_source.py",
        "from examples.custom_source.random_users import value\n" + source("RandomUserSource", "v = value"),
    )
    found = repository.find("custom://RandomUserSource")
    assert found.cls.v == 42
    assert found.cls.__module__ == "examples.custom_source.nilus_custom_source"
    assert found.file == "examples/custom_source/nilus_custom_source.py"


def test_a_folder_named_like_an_installed_package_does_not_replace_it(make_repository: Callable) -> None:
    repository = make_repository(base_dir="tabulate")
    repository.write("sibling.py", "value = 42")
    repository.write(
        "source.py", "from .sibling import value\nfrom tabulate import tabulate\n" + source("MySource", "v = value")
    )
    assert repository.in_a_child("custom://MySource", "found.cls.v") == 42


def test_a_folder_that_an_installed_package_hides_is_explained(make_repository: Callable) -> None:
    repository = make_repository(base_dir="tabulate/sources")
    repository.write("sibling.py", "value = 42")
    repository.write("source.py", "from tabulate.sources.sibling import value\n" + source("MySource"))
    assert "add tabulate/__init__.py" in refused(repository, "custom://MySource").remedy


def test_a_source_file_named_like_a_standard_module_is_found_and_warned_of(
    repository, caplog: pytest.LogCaptureFixture
) -> None:
    repository.write("queue.py", source("MySource"))
    with caplog.at_level(logging.WARNING):
        found = repository.find("custom://MySource")
    assert found.file == "my-custom-sources/queue.py"
    assert "my-custom-sources/queue.py: `import queue` does not give this file" in caplog.text
    import queue

    assert queue.Queue is not None


def test_two_repositories_with_equally_named_modules_do_not_mix(make_repository: Callable) -> None:
    found = {}
    for name, value in (("first", 1), ("second", 2)):
        repository = make_repository(name)
        repository.write("utils.py", f"value = {value}")
        repository.write("/shared.py", f"value = {value * 10}")
        repository.write("source.py", "import shared, utils\n" + source("MySource", "v = [utils.value, shared.value]"))
        found[name] = repository.in_a_child("custom://MySource", "[found.cls.v, found.file]")
    assert found == {
        "first": [[1, 10], "my-custom-sources/source.py"],
        "second": [[2, 20], "my-custom-sources/source.py"],
    }


def test_a_source_decorated_as_a_class_is_explained(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        @nilus.source
        class MySource(nilus.CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return None
        """,
    )
    error = refused(repository, "custom://MySource")
    assert "my-custom-sources/source.py" in str(error)
    assert "remove @nilus.source from the class" in error.remedy


def test_an_empty_folder_is_told(repository) -> None:
    error = refused(repository, "custom://MySource")
    assert "check repo.baseDir" in error.remedy


def test_a_class_need_not_be_a_custom_source_by_descent(repository) -> None:
    repository.write(
        "source.py",
        """
        import nilus

        class MySource:
            @nilus.resource
            def rows(self):
                yield {"id": 7}

            def dlt_source(self, uri, table, **kwargs):
                return self.rows
        """,
    )
    found = repository.find("custom://MySource")
    assert found.handles_incrementality is False
    assert list(found.instance().rows) == [{"id": 7}]


def test_the_instance_is_made_once(repository) -> None:
    repository.write("source.py", source("MySource", "def handles_incrementality(self): return True"))
    found = repository.find("custom://MySource")
    assert found.instance() is found.instance()
    assert found.handles_incrementality is True


def test_a_class_that_cannot_be_instantiated_is_explained(repository) -> None:
    repository.write("source.py", source("MySource", "def __init__(self, token): pass"))
    found = repository.find("custom://MySource")
    with pytest.raises(SourceError, match=r"MySource \(my-custom-sources/source.py\): making an instance.*token"):
        found.instance()


def test_imported_names_have_nothing_to_do_with_the_loader() -> None:
    assert class_finder.import_roots.__module__ == "nilus.runtime.source.import_roots"


@pytest.mark.parametrize(
    ("files", "line", "remedy"),
    [
        ({}, "class Shop(nilus.CustomSource): pass", "add `import nilus` at the top of the file"),
        ({"/lib/helpers.py": ""}, "import helpers", "lib/helpers.py has it: import it by its path"),
        ({"/lib/helpers/__init__.py": ""}, "from helpers.a import b", "lib/helpers has it: import it by its path"),
        ({}, "from checkout.utils import x", "the repository has it: import it by its path"),
        (
            {"requirements.txt": "No-Such_Module>=1\n"},
            "import no_such_module",
            "names it: install it into the environment",
        ),
    ],
)
def test_what_cannot_be_imported_is_told_where_it_is(repository, files, line, remedy):
    for name, text in files.items():
        repository.write(name, text)
    repository.write("shop.py", f"{line}\nclass Shop: pass\n")
    with pytest.raises(SourceError) as caught:
        repository.find("custom://Shop")
    assert remedy in caught.value.remedy
