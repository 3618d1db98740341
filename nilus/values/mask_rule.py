"""One rule of a workflow's `mask`: an algorithm, and what is given to it behind a colon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from nilus.values.spelling import did_you_mean

Takes = Literal["nothing", "key", "text", "count", "fraction"]


@dataclass(frozen=True)
class Parameter:
    """What an algorithm takes behind the colon.

    Attributes:
        takes: `nothing`, `key` (a secret), `text`, `count` (a whole number from 1) or `fraction` (a number above 0).
        default: what counts where nothing is given; None where something has to be.
    """

    takes: Takes = "nothing"
    default: str | None = ""


_NOTHING = Parameter()

ALGORITHMS: Final[dict[str, Parameter]] = {
    "hash": _NOTHING,
    "sha256": _NOTHING,
    "md5": _NOTHING,
    "hmac": Parameter("key", None),
    "redact": _NOTHING,
    "email": _NOTHING,
    "phone": _NOTHING,
    "credit_card": _NOTHING,
    "ssn": _NOTHING,
    "partial": Parameter("count", "2"),
    "first_letter": _NOTHING,
    "stars": _NOTHING,
    "fixed": Parameter("text", None),
    "uuid": _NOTHING,
    "sequential": _NOTHING,
    "random": _NOTHING,
    "round": Parameter("count", "10"),
    "range": Parameter("count", "100"),
    "noise": Parameter("fraction", "0.1"),
    "date_shift": Parameter("count", "30"),
    "year_only": _NOTHING,
    "month_year": _NOTHING,
}
"""The algorithms of the contract. Defaults are those of ingestr 0.14 (`ingestr/src/masking.py`), but for `hmac`, which
falls back to a key that everybody knows there, and `fixed`."""

_MOST = 10**9


@dataclass(frozen=True)
class MaskRule:
    """`algorithm[:parameter]`.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        parameter: what stands behind the colon, or the default. It may be a key: not in `repr`.
    """

    algorithm: str
    parameter: str = ""

    def __repr__(self) -> str:
        return f"MaskRule({self.algorithm!r})"


def parse(rule: object) -> MaskRule:
    """Read `algorithm[:parameter]`.

    Raises:
        ValueError: an unknown algorithm, or a parameter that is missing, not wanted, or of the wrong kind. A parameter
            is never shown: it may be a key.
    """
    written, colon, parameter = rule.partition(":") if isinstance(rule, str) else ("", "", "")
    name = written.strip().lower().replace("-", "_")
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm, expected one of {', '.join(ALGORITHMS)}{did_you_mean(name, ALGORITHMS)}")
    known = ALGORITHMS[name]
    if not colon or (known.takes in ("count", "fraction") and not parameter.strip()):
        if known.default is None:
            raise ValueError(f"expected {name}:<{known.takes}>, found {name} alone")
        return MaskRule(name, known.default)
    return MaskRule(name, _check_parameter(name, known.takes, parameter))


def keys(masks: Mapping[str, str]) -> list[str]:
    """Return the keys in the rules of a `mask`, as they are written: with `{NAME}` where the environment has them."""
    return [rule.parameter for rule in map(parse, masks.values()) if ALGORITHMS[rule.algorithm].takes == "key"]


def _check_parameter(name: str, takes: Takes, parameter: str) -> str:
    if takes == "nothing":
        raise ValueError(f"expected {name} alone, found something behind the colon: it takes no parameter")
    if takes == "count":
        digits = parameter.strip()
        if not (digits.isascii() and digits.isdecimal()) or not 1 <= int(digits) <= _MOST:
            raise ValueError(f"expected {name}:<n>, a whole number from 1, found something else behind the colon")
        return str(int(digits))
    if takes == "fraction":
        try:
            number = float(parameter)
        except ValueError:
            number = 0.0
        if not 0 < number <= _MOST:
            raise ValueError(f"expected {name}:<f>, a number above 0, found something else behind the colon")
        return parameter.strip()
    if not parameter.strip():
        raise ValueError(f"expected {name}:<{takes}>, found nothing behind the colon")
    return parameter
