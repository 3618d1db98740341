"""What may be shown of an address or an option: user info and secret values become `***`.

Where an address can be read in two ways, the reading that hides more is taken: a display that lost its host
does no harm, a display that kept half a password does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from nilus.values.schemes import is_local
from nilus.values.secret_texts import HIDDEN, cut

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://")
_KEY = r"[\w.\-%\[\]\s]{1,64}"
_PAIR_START = re.compile(rf"([?&;#])(?={_KEY}=)")
_NEXT_PARAMETER = re.compile(rf"&(?={_KEY}=)")
_JSON_PAIR = re.compile(r"""(["'])([\w.\- ]{1,64})\1(\s*:\s*)(["'])(.*?)(?<!\\)\4""", re.DOTALL)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "dsn",
        "jwt",
        "key",
        "keys",
        "pass",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "private",
        "pwd",
        "pw",
        "sas",
        "secret",
        "secrets",
        "sig",
        "signature",
        "token",
        "tokens",
    }
)
_SECRET_PARTS = (
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "webhook",
    "connectionstring",
)
_KEYS_OF_DATA = frozenset(
    {"primarykey", "mergekey", "incrementalkey", "cursorkey", "sortkey", "partitionkey", "clusterkey", "foreignkey"}
)
_NO_SECRETS = ("_path", "_file", "_id", "_name", "_provider", "_permissions", "_hours")
_ENCODED_LEVELS = 8
# In one text; what follows is hidden, since each is looked for in all that follows it.
_MOST_ADDRESSES = 100
_SHOWN_LENGTH = 80
_LONGEST_ADDRESS = 8_192


def redact_address(address: str) -> str:
    """Return `address` with everything that can be a secret replaced by `***`; fit for logs. Never raises.

    Hidden are the user info of the address and of every address nested in it, raw or percent-encoded, and the
    values of parameters whose name looks secret. The rest is returned as it was written; of a text that is too long to
    be an address nothing but the scheme.
    """
    text = str(address)
    if len(text) > _LONGEST_ADDRESS:
        start = _SCHEME.match(text)
        return f"{start.group() if start else ''}{HIDDEN}"
    return _redact(text, _ENCODED_LEVELS)


def looks_secret(key: str) -> bool:
    """Say whether the value of a parameter of this name is probably a secret (`api_token`, `PWD`, `accessKey` …)."""
    words = [word.lower() for word in _WORD.findall(key)]
    squeezed = "".join(words)
    if squeezed in _KEYS_OF_DATA:
        return False
    return not _SECRET_WORDS.isdisjoint(words) or any(part in squeezed for part in _SECRET_PARTS)


def redact_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `options` fit for display: secret-looking keys hidden, texts passed through `redact_address`.

    Of the rules of a `mask` the algorithms are left, without their parameters: one of them may be a key.
    """
    return {key: _redact_option(str(key), value) for key, value in options.items()}


def without_parameter(rule: str) -> str:
    """Return a rule of a `mask`, `algorithm[:parameter]`, as it may be shown."""
    algorithm, colon, _ = rule.partition(":")
    return f"{algorithm}{colon}{HIDDEN}" if colon else algorithm


def redact_value(value: object) -> str:
    """Return a value as it may be quoted in a message: redacted, shortened, containers by their kind only."""
    if isinstance(value, str):
        return repr(cut(redact_address(value), _SHOWN_LENGTH))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:_SHOWN_LENGTH]
    return kind(value)


def kind(value: object) -> str:
    """Return what a value is, in the words of a YAML author."""
    if value is None:
        return "nothing"
    for types, name in (
        (str, "text"),
        (bool, "true or false"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


def _redact_option(key: str, value: Any) -> Any:
    if value is None:
        return None
    if key.lower() == "mask":
        if not isinstance(value, Mapping):
            return HIDDEN
        return {column: without_parameter(rule) if isinstance(rule, str) else HIDDEN for column, rule in value.items()}
    return HIDDEN if looks_secret(key) else _redact_value(value)


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact_address(value)
    if isinstance(value, Mapping):
        return redact_options(value)
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value


def _redact(text: str, levels: int) -> str:
    if levels == 0:
        return HIDDEN
    text = _hide_user_info(text)
    text = _JSON_PAIR.sub(_hide_json_value, text)
    pieces = _PAIR_START.split(text)
    pieces[::2] = [_hide_secret_value(piece, levels) for piece in pieces[::2]]
    return _hide_bare_fragment("".join(pieces))


def _hide_bare_fragment(text: str) -> str:
    """Hide what follows a number sign without being a parameter; the path of a local file may hold one."""
    scheme, mark, rest = text.partition("://")
    if not mark or is_local(scheme.lower()):
        return text
    address, sign, fragment = rest.partition("#")
    parts = [part if "=" in part or not part else HIDDEN for part in fragment.split("&")]
    return f"{scheme}{mark}{address}{sign}{'&'.join(parts)}"


def _hide_user_info(text: str) -> str:
    start = _SCHEME.search(text)
    if start is None or ":" in text[: start.start()]:
        before, at, after = text.rpartition("@")
        if ":" in before:
            return f"{HIDDEN}{at}{after}"
    if start is None:
        return text
    position, outermost = 0, True
    hidden: list[str] = []
    for _ in range(_MOST_ADDRESSES):
        if start is None:
            return "".join(hidden) + text[position:]
        hidden.append(text[position : start.end()])
        position = start.end()
        end = _end_of_user_info(start.group()[:-3], text[position:], outermost=outermost)
        if end:
            hidden.append(HIDDEN)
            position += end
        start, outermost = _SCHEME.search(text, position), False
    return "".join(hidden) + (text[position:] if start is None else HIDDEN)


def _end_of_user_info(scheme: str, rest: str, *, outermost: bool) -> int:
    """Return how many characters after `://` are user info: up to the last `@` that can belong to it.

    An address inside a query ends where the next parameter begins, unless that would cut a password in two.
    """
    if is_local(scheme.lower()) and rest.startswith("/"):
        return 0
    address = rest if outermost else _NEXT_PARAMETER.split(rest, maxsplit=1)[0]
    if "@" in re.split(r"[?#]", address, maxsplit=1)[0]:
        return address.rindex("@")
    authority = re.sub(r"^\[[^\]]*\]", "", re.split(r"[/?#]", address, maxsplit=1)[0])
    _, colon, port = authority.partition(":")
    if colon and "@" in address:
        return address.rindex("@")
    if colon and not port.isdecimal() and "@" in rest:
        return rest.rindex("@")
    return 0


def _hide_json_value(match: re.Match[str]) -> str:
    quote, key, colon, value_quote, _ = match.groups()
    if not looks_secret(key):
        return match.group()
    return f"{quote}{key}{quote}{colon}{value_quote}{HIDDEN}{value_quote}"


def _hide_secret_value(piece: str, levels: int) -> str:
    key, equals, value = piece.partition("=")
    if equals and value and looks_secret(unquote(key)):
        return f"{key}={HIDDEN}"
    if not equals:
        key, value = "", piece
    decoded = unquote(value)
    if decoded == value:
        return piece
    redacted = _redact(decoded, levels - 1)
    return piece if redacted == decoded else f"{key}{equals}{redacted}"


def secret_values(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts in `options`, and in mappings within, that are secret by their name; each once.

    Names of files, ids and the like are none, although `private_key_path` or `aws_access_key_id` look secret.
    """
    found: list[str] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            found += secret_values(value)
        elif isinstance(value, str) and value and looks_secret(str(name)) and not str(name).endswith(_NO_SECRETS):
            found.append(value)
    return tuple(dict.fromkeys(found))
