"""Addresses and options in requirements: refused, unless the deployment trusts its repositories with them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from nilus.environment.requirements.lines import LineError, redact_part

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://|file:", re.IGNORECASE)
_MARKER = re.compile(r"\s;|;\s")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".tbz", ".txz")
# Of pip's options, those uv takes from a file; and whether a value follows.
_UV_OPTIONS = {
    "--index-url": True,
    "--extra-index-url": True,
    "--find-links": True,
    "--no-index": False,
    "--no-binary": True,
    "--only-binary": True,
}
_ELSEWHERE = "where packages come from and how they are built, the deployment decides"
_TAKE_OUT = (
    "Take the credential out of the address, and out of the repository's history; give it to the deployment: by its "
    "index connection, a variable such as UV_INDEX_<NAME>_PASSWORD, or a .netrc file."
)
_ARCHIVE = (
    "Name an archive (a wheel or a source archive) that is in the repository. Folders need not be installed: the "
    "repository's root and the source's own folder are importable."
)
_NAME_IT = (
    "Write the package's name and version, and have it served by the deployment's index; or have addresses allowed "
    "by the deployment (allow_direct_requirements)."
)


def is_remote(text: str) -> bool:
    """Whether a text begins as an address does, not as a path or a name."""
    return _ADDRESS.match(text) is not None


def is_address(text: str) -> bool:
    """Whether a line is an address or a path, not a name; `name @ address` is a name.

    An archive's file name could be a package's name by its letters: as in pip, it is the file.
    """
    bare = text.partition(";")[0].strip()
    if is_remote(bare) or bare.startswith((".", "/", "~")):
        return True
    return bare.partition("[")[0].lower().endswith(_ARCHIVES) and not any(part in bare for part in (" ", "@", "://"))


def option(name: str, value: str, path: Path, root: Path, *, allowed: bool) -> str:
    """Return an option as a line for uv.

    Args:
        name: its long name.
        value: what follows it.
        path: the file it stands in.
        root: the repository's root.
        allowed: whether the deployment allows options.

    Raises:
        Refused: it is not allowed, or uv does not know it.
    """
    if not (allowed and name in _UV_OPTIONS):
        raise LineError(f"the option {name}", _option_remedy(name, allowed=allowed))
    if _UV_OPTIONS[name] != bool(value):
        raise LineError(f"{name} {redact_part(value)}".strip(), f"Give {name} the value it needs, or none.")
    if name == "--find-links" and not is_remote(value):
        return f"{name} {_path_inside(value, path, root).as_uri()}"
    if is_remote(value):
        _split(value)
    return f"{name} {value}".strip()


def _option_remedy(name: str, *, allowed: bool) -> str:
    if name == "--require-hashes":
        return "Leave --require-hashes out: one hash anywhere means that every package needs one."
    if name in _UV_OPTIONS and not allowed:
        return (
            f"Leave {name} out: {_ELSEWHERE}, by variables (UV_DEFAULT_INDEX, PIP_INDEX_URL and the like) or its "
            "index connection; or have such lines allowed by it (allow_direct_requirements)."
        )
    return f"Leave {name} out: {_ELSEWHERE}."


def editable(value: str, path: Path, root: Path, *, allowed: bool) -> str:
    """Return the address of an editable install; what is there is installed as a copy.

    Raises:
        Refused: it is not allowed, or a folder.
    """
    if allowed and is_remote(value):
        return address(value, path, root, allowed=True)
    raise LineError(f"an editable install, {redact_part(value)}", _ARCHIVE if allowed else _NAME_IT)


def address(text: str, path: Path, root: Path, *, allowed: bool) -> str:
    """Return an address, or a path to an archive, as an absolute address.

    Args:
        text: it, as written.
        path: the file it stands in.
        root: the repository's root.
        allowed: whether the deployment allows addresses.

    Raises:
        Refused: it is not allowed, carries a credential, leads out of the repository or to a folder.
    """
    if not allowed:
        raise LineError(f"an address, {redact_part(text)}", _NAME_IT)
    if _MARKER.search(text):
        raise LineError(f"a marker behind the address {redact_part(text)}", "Write it as `name @ address ; marker`.")
    if is_remote(text) and _split(text).scheme.lower() != "file":
        return text
    file = _path_inside(unquote(re.sub(r"(?i)^file:(//(localhost)?)?", "", text)), path, root)
    if not file.is_file():
        raise LineError(f"the path {redact_part(text)}", _ARCHIVE)
    return file.as_uri()


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        password, user = parts.password, parts.username
    except ValueError:
        raise LineError(f"the address {redact_part(text)}", "Correct the address.") from None
    # SSH addresses carry the name of the account, `git` nearly always; it is no secret.
    if password is not None or (user is not None and not parts.scheme.lower().endswith("ssh")):
        raise LineError(f"a credential in {redact_part(text)}", _TAKE_OUT)
    return parts


def _path_inside(value: str, path: Path, root: Path) -> Path:
    target = (path.parent / value).resolve()
    if not target.is_relative_to(root):
        raise LineError(f"{redact_part(value)}, which leads out of the repository", "Keep it in the repository.")
    return target
