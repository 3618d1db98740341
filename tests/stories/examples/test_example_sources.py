"""The example sources keep what every source should."""

from __future__ import annotations

from typing import ClassVar

import pytest
from deployment_fixture import EXAMPLES
from git_fixture import GitRepository

from nilus.testing import SourceTests

SOURCES = EXAMPLES / "sources"


class TestOrders(SourceTests):
    base_dir = SOURCES / "orders"
    address = "custom://Orders?first=2026-01-01&days=3"
    table = "orders"
    options: ClassVar = {"incremental-key": "placed_at", "primary-key": "order_id"}
    sink_options: ClassVar = {"incremental-strategy": "merge"}


class TestIncrementalState(SourceTests):
    base_dir = SOURCES / "documentation" / "my-custom-sources"
    address = "custom://IncrementalStateSource"
    sink_options: ClassVar = {"incremental-strategy": "append"}


class TestGitHistory(SourceTests):
    base_dir = SOURCES / "history"

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def project(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("project")
        repository = GitRepository(path)
        repository.git("init", "--quiet", "--template=", "--initial-branch=main")
        for number in range(3):
            repository.commit({"readme.txt": f"{number}\n"}, f"commit {number}")
        cls.address = f"custom://GitHistory?repository={path}"
