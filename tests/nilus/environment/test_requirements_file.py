"""`requirements.txt` is read as pip reads it, and nothing in it reaches beyond the repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nilus.environment.requirements.file import Requirements, read
from nilus.errors import DependencyError

HASH = "sha256:" + "0a" * 32


def parse(source: Any, text: str | bytes, **options: Any) -> Requirements:
    if isinstance(text, bytes):
        source.requirements.write_bytes(text)
    else:
        source.asks(text)
    found = read(source.base_dir, source.checkout, **options)
    assert found is not None
    return found


def refused(source: Any, text: str | bytes, **options: Any) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        parse(source, text, **options)
    assert not caught.value.retryable
    return caught.value


def wanted(found: Requirements) -> list[tuple[str, int]]:
    return [(line.text, line.origin.line) for line in found.wanted]


def test_no_file_is_no_requirements(source: Any) -> None:
    assert read(source.base_dir, source.checkout) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo>=1,<2\n", [("one", 1), ("two<2,>=1", 2)]),
        ("# a\n\n  one == 1.0  # why\n\ttwo\n", [("one==1.0", 3), ("two", 4)]),
        ("one \\\n  >= 1 \\\n  , < 2\ntwo\n", [("one<2,>=1", 1), ("two", 4)]),
        ("one \\\n# cut off here\ntwo\n", [("one", 1), ("two", 3)]),
        ("one\\", [("one", 1)]),
        ("one\r\ntwo\r\n", [("one", 1), ("two", 2)]),
        ("One.Two_three[B,a] ~= 1.4 ; python_version >= '3'\n", [("One.Two_three[B,a]~=1.4", 1)]),
        ("one ; python_version < '3'\ntwo ; sys_platform == 'linux' or extra == 'x'\n", [("two", 2)]),
        ("one; extra == 'x'\n", []),
        ("one==1.0#not a comment\n", None),
        ("one!=1.5,>=1rc1\none<9\n", [("one!=1.5,>=1rc1", 1), ("one<9", 2)]),
    ],
)
def test_lines_mean_what_they_mean_to_pip(text: str, expected: list[tuple[str, int]] | None, source: Any) -> None:
    if sys.platform != "linux":
        text = text.replace("'linux'", f"'{sys.platform}'")
    if expected is None:
        assert "==1.0#not" in refused(source, text).found
    else:
        assert wanted(parse(source, text)) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_files_may_have_a_byte_order_mark(encoding: str, source: Any) -> None:
    assert wanted(parse(source, "# Ünïcode\none\n".encode(encoding))) == [("one", 2)]


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"one\n\xff\xfe\n", "something at byte 4"), (b"one\0\n", "a NUL"), (b"#" * 1_000_001, "more than 1,000,000")],
)
def test_what_is_no_list_of_requirements_is_refused(content: bytes, found: str, source: Any) -> None:
    error = refused(source, content)
    assert error.message == "sources/requirements.txt cannot be read as a list of requirements."
    assert error.found.startswith(found)


def test_a_folder_or_a_pipe_is_refused(source: Any) -> None:
    source.requirements.mkdir()
    with pytest.raises(DependencyError, match="cannot be read"):
        read(source.base_dir, source.checkout)
    source.requirements.rmdir()
    os.mkfifo(source.requirements)
    with pytest.raises(DependencyError, match="cannot be read"):
        read(source.base_dir, source.checkout)


def test_hashes_are_kept_in_either_spelling(source: Any) -> None:
    other = "sha512:" + "b" * 128
    found = parse(source, f"one==1 --hash={HASH} \\\n  --hash {other}\n")

    assert [(line.text, line.hashes) for line in found.wanted] == [("one==1", {HASH, other})]


def test_included_files_are_read_from_where_they_stand(source: Any) -> None:
    source.asks("-r deeper/b.txt\na\n", "common/a.txt")
    source.asks("b\n--constraint=../../c.txt\n", "common/deeper/b.txt")
    source.asks("c<2\n", "c.txt")

    found = parse(source, "-r ../common/a.txt\n-c../c.txt\n--requirement ../common/deeper/b.txt\nlast\n")

    assert [str(line.origin) for line in found.wanted] == [
        "common/deeper/b.txt:1",
        "common/a.txt:2",
        "common/deeper/b.txt:1",
        "sources/requirements.txt:4",
    ]
    assert {(line.text, str(line.origin)) for line in found.constraints} == {("c<2", "c.txt:1")}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("-r ../../outside.txt", "a file that is not in the repository"),
        ("-c /etc/passwd", "a file that is not in the repository"),
        ("-r link.txt", "a file that is not in the repository"),
        ("-r folder/outside.txt", "a file that is not in the repository"),
        ("-r missing.txt", "there is no file sources/missing.txt"),
        ("-r loop.txt", "there is no file sources/loop.txt"),
        ("-r requirements.txt", "sources/requirements.txt includes itself"),
        ("-r https://host/list.txt", "--requirement https://host/list.txt"),
        ("-c file:///etc/passwd", "--constraint file:///etc/passwd"),
        ("-r", "--requirement"),
    ],
)
@pytest.mark.parametrize("allow_direct", [False, True])
def test_includes_stay_in_the_repository(line: str, found: str, allow_direct: bool, source: Any) -> None:
    (source.checkout.parent / "outside.txt").write_text("secret-line\n")
    (source.base_dir / "link.txt").symlink_to(source.checkout.parent / "outside.txt")
    (source.base_dir / "folder").symlink_to(source.checkout.parent)
    (source.base_dir / "loop.txt").symlink_to("loop.txt")

    error = refused(source, f"one\n{line}\n", allow_direct=allow_direct)

    assert error.found == f"sources/requirements.txt:2: {found}"
    assert "secret-line" not in str(error)


def test_a_circle_of_includes_is_refused_where_it_closes(source: Any) -> None:
    source.asks("one\n-r ../sources/requirements.txt\n", "other/a.txt")

    assert refused(source, "-r ../other/a.txt\n").found == "other/a.txt:2: sources/requirements.txt includes itself"


def test_a_requirements_file_that_is_a_link_out_of_the_repository_is_refused(source: Any) -> None:
    (source.checkout.parent / "outside.txt").write_text("one\n")
    source.requirements.symlink_to(source.checkout.parent / "outside.txt")
    with pytest.raises(DependencyError, match="not allowed here") as caught:
        read(source.base_dir, source.checkout)
    assert caught.value.found == "sources/requirements.txt:1: a file that is not in the repository"
    source.requirements.unlink()
    source.asks("one\n", "inside.txt")
    source.requirements.symlink_to("../inside.txt")
    found = read(source.base_dir, source.checkout)
    assert found is not None
    assert wanted(found) == [("one", 1)]


DIRECT = [
    ("--index-url https://user:s3cret@host/simple", "the option --index-url"),
    ("-i https://host/simple", "the option --index-url"),
    ("--extra-index-url=https://host/simple", "the option --extra-index-url"),
    ("-f ./wheels", "the option --find-links"),
    ("--no-index", "the option --no-index"),
    ("--only-binary :all:", "the option --only-binary"),
    ("-e .", "an editable install, ."),
    ("-e git+https://host/repo#egg=x", "an editable install, git+https://host/repo#egg=x"),
    ("--editable=../other", "an editable install, ../other"),
    ("git+https://user:s3cret@host/repo@main", "an address, git+https://***@main"),
    ("one @ https://host/one-1.0-py3-none-any.whl", "an address, https://host/one-1.0-py3-none-any.whl"),
    ("one@git+ssh://git@host/repo", "an address, git+ssh://***@host/repo"),
    ("https://host/one-1.0.tar.gz", "an address, https://host/one-1.0.tar.gz"),
    ("./one-1.0-py3-none-any.whl", "an address, ./one-1.0-py3-none-any.whl"),
    ("one-1.0-py3-none-any.whl", "an address, one-1.0-py3-none-any.whl"),
    ("/etc/passwd", "an address, /etc/passwd"),
    ("file:///etc/passwd", "an address, file:///etc/passwd"),
]
NEVER = [
    ("--trusted-host host", "the option --trusted-host"),
    ("--pre", "the option --pre"),
    ("--require-hashes", "the option --require-hashes"),
    ("--config-settings x=y", "the option --config-settings"),
    ("-x", "the option -x"),
    ("one --global-option=x", "the option --global-option"),
    ("one --config-settings='--x'", "the option --config-settings"),
    ("one --hash=md5:0", "the hash md5:0"),
    ("one --hash", "the hash"),
    ("${PACKAGE}", "the variable ${PACKAGE}"),
    ("one @ https://${TOKEN}@host/x.whl", "the variable ${TOKEN}"),
    ("-r ${HOME}/list.txt", "the variable ${HOME}"),
    ("one two", "one two: Expected"),
    ("one==", "one==: "),
    ("one>=1;nonsense", "one>=1;nonsense: "),
    ("!!", "!!: Expected"),
]


@pytest.mark.parametrize(("line", "found"), [*DIRECT, *NEVER])
def test_lines_that_reach_beyond_names_and_versions_are_refused(line: str, found: str, source: Any) -> None:
    error = refused(source, f"\none\n{line}\n")

    assert error.found.startswith(f"sources/requirements.txt:3: {found}")
    assert error.remedy
    assert "s3cret" not in str(error)


def test_all_lines_that_are_refused_are_told_at_once(source: Any) -> None:
    source.asks("-e .\n", "more.txt")

    error = refused(source, "--pre\none\n-r ../more.txt\ntwo two\n")

    assert error.message == (
        "The source's requirements have 3 lines that are not allowed here, or cannot be understood."
    )
    assert [line.partition(" ")[0] for line in error.found.splitlines()] == [
        "sources/requirements.txt:1:",
        "more.txt:1:",
        "sources/requirements.txt:4:",
    ]


@pytest.mark.parametrize(("line", "found"), NEVER)
def test_some_lines_are_refused_even_from_a_trusted_repository(line: str, found: str, source: Any) -> None:
    assert refused(source, f"\none\n{line}\n", allow_direct=True).found.startswith(
        f"sources/requirements.txt:3: {found}"
    )


@pytest.fixture
def archives(source: Any) -> Path:
    folder: Path = source.checkout / "wheels"
    folder.mkdir()
    (folder / "one-1.0-py3-none-any.whl").touch()
    return folder


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("one @ https://host/one-1.0.whl ; python_version > '3'", "one @ https://host/one-1.0.whl"),
        ("one[x]@git+ssh://git@host/repo", "one[x] @ git+ssh://git@host/repo"),
        ("https://host/one-1.0.tar.gz", "https://host/one-1.0.tar.gz"),
        ("-e git+https://host/repo@main#egg=one", "git+https://host/repo@main#egg=one"),
        ("../wheels/one-1.0-py3-none-any.whl", "{wheels}/one-1.0-py3-none-any.whl"),
        ("one @ file:../wheels/one-1.0-py3-none-any.whl", "one @ {wheels}/one-1.0-py3-none-any.whl"),
    ],
)
def test_a_trusted_repository_may_name_addresses(line: str, text: str, source: Any, archives: Path) -> None:
    found = parse(source, f"{line}\n", allow_direct=True)

    # Before packaging 26 there is no space before the @.
    texts = [one.text.replace("@ ", " @ ").replace("  @ ", " @ ") for one in found.wanted]
    assert texts == [text.format(wheels=archives.as_uri())]


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("-i https://host/simple", "--index-url https://host/simple"),
        ("--extra-index-url = https://host/simple", "--extra-index-url https://host/simple"),
        ("--no-index", "--no-index"),
        ("--find-links ../wheels", "--find-links {wheels}"),
        ("--find-links https://host/files", "--find-links https://host/files"),
        ("--only-binary one", "--only-binary one"),
    ],
)
def test_a_trusted_repository_may_set_the_options_uv_knows(line: str, option: str, source: Any, archives: Path) -> None:
    assert parse(source, f"{line}\n", allow_direct=True).options == (option.format(wheels=archives.as_uri()),)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("one @ https://user:s3cret@host/x.whl", "a credential in https://***@host/x.whl"),
        ("one @ https://s3cret@host/x.whl", "a credential in https://***@host/x.whl"),
        ("git+ssh://git:s3cret@host/x", "a credential in git+ssh://***@host/x"),
        ("--index-url https://user:s3cret@host/simple", "a credential in https://***@host/simple"),
        ("https://[host/x.whl", "the address https://[host/x.whl"),
        ("../../outside-1.0.whl", "../../outside-1.0.whl, which leads out of the repository"),
        ("file:///etc/passwd", "/etc/passwd, which leads out of the repository"),
        ("--find-links ../..", "../.., which leads out of the repository"),
        ("../wheels", "the path ../wheels"),
        ("../missing-1.0.whl", "the path ../missing-1.0.whl"),
        ("-e ..", "an editable install, .."),
        ("./x-1.0.whl ; python_version > '3'", "a marker behind the address"),
        ("--no-index yes", "--no-index yes"),
        ("--index-url", "--index-url"),
    ],
)
def test_addresses_of_a_trusted_repository_are_checked(line: str, found: str, source: Any, archives: Path) -> None:
    error = refused(source, f"{line}\n", allow_direct=True)

    assert error.found.startswith(f"sources/requirements.txt:1: {found}")
    assert "s3cret" not in str(error)
