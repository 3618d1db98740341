"""The files of the pages about managed Airflows are on their pages; whether they resolve, `make resolve` sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.platforms import FILES, NAME, requirements


@pytest.mark.parametrize(("platform", "file"), [(platform, file) for platform in FILES for file in FILES[platform]])
def test_a_page_shows_the_file_of_its_folder(platform: str, file: str, checkout: Path) -> None:
    folder = checkout / "docs" / "deploy"
    page = (folder / f"{platform}.md").read_text()
    blocks = [block.partition("\n")[2] for block in page.split("```")[1::2]]
    assert (folder / platform / file).read_text() in blocks


@pytest.mark.parametrize("platform", FILES)
def test_a_page_asks_for_extras_that_there_are(platform: str) -> None:
    from importlib.metadata import metadata

    ours, _ = requirements(platform)
    assert ours.name == NAME
    assert ours.extras <= set(metadata(NAME).get_all("Provides-Extra"))
