"""What is long or wide beyond any use is done with at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nilus.environment.requirements.file import read
from nilus.errors import DependencyError
from nilus.git import refs
from nilus.values.redaction import redact_address

SECONDS = 5.0


@pytest.mark.parametrize(
    "text", ["://a:b" * 33_000, "a://b:c@" * 25_000, "x://h?a=b&" + "k=v&" * 50_000, "%25" * 70_000]
)
def test_a_text_that_is_no_address_is_hidden_at_once(text: str) -> None:
    started = time.monotonic()
    assert len(redact_address(text)) < 50
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("name", ["release/{}", "main{}", "{}"])
def test_a_name_among_hundreds_of_thousands_is_looked_for_in_bounded_time(name: str) -> None:
    names = [f"refs/heads/{name.format(number)}" for number in range(300_000)]
    started = time.monotonic()
    error = refs.unknown_ref("main1x", names, "https://h/r")
    assert time.monotonic() - started < SECONDS
    assert "main1x" in error.message


def test_files_that_include_each_other_twice_end(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"r{number}.txt").write_text(f"-r r{number + 1}.txt\n-r r{number + 1}.txt\n")
    (tmp_path / "r20.txt").write_text("dlt\n")
    (tmp_path / "requirements.txt").write_text("-r r0.txt\n")
    started = time.monotonic()
    with pytest.raises(DependencyError, match="files that are included"):
        read(tmp_path, tmp_path)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("line", ["dlt==" + "1" * 5_000, "dlt>=1." + "9" * 5_000 + ".0", "dlt<=1.0rc" + "1" * 5_000])
def test_a_version_of_thousands_of_digits_is_an_error_of_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    with pytest.raises(DependencyError, match="a number of more than 200 digits") as caught:
        read(tmp_path, tmp_path)
    assert not caught.value.retryable
    assert len(str(caught.value)) < 1_000
