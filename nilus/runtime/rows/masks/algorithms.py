"""The algorithms of `mask`: what each makes of a value, which values it fits, what comes out.

What they give follows ingestr 0.14 (`ingestr/src/masking.py`), but where that leaves a value, or its last character, in
clear, or gives another result in each run although the name does not say so. docs/masks.md has the differences.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import re
import secrets
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final, Literal
from uuid import UUID

from nilus.runtime.rows.masks import comparable
from nilus.runtime.rows.masks.comparable import Number
from nilus.values.mask_rule import MaskRule

Result = Literal["text", "bigint", "same"]

_NO_DIGIT = re.compile(r"\D")
_CHARACTERS = (string.ascii_letters + string.digits).encode()
_TO_CHARACTERS: Final = bytes(_CHARACTERS[byte % len(_CHARACTERS)] for byte in range(256))
_EXACT = Context(prec=120)
_WHOLE = Decimal(1)


class DoesNotFit(Exception):  # noqa: N818 - it is no error yet: the column is not known here
    """A value that an algorithm cannot be applied to; its text says what would fit, and holds nothing of the value."""


@dataclass(frozen=True)
class Algorithm:
    """One mask, ready to use.

    Attributes:
        name: the algorithm's.
        mask: makes the masked value of a value that `comparable.to_plain` returned and that is not None; raises
            `DoesNotFit`.
        result: what comes out: text, a whole number, or the type of what goes in.
        is_deterministic: the same value gives the same mask in every run.
        keeps_apart: different values give different masks, as far as a digest can tell: fit for a key.
    """

    name: str
    mask: Callable[[Any], Any]
    result: Result = "text"
    is_deterministic: bool = True
    keeps_apart: bool = False


def algorithm(rule: MaskRule, run_key: bytes) -> Algorithm:
    """Return the algorithm of a rule.

    Args:
        rule: of the workflow; the key of `hmac` is filled in.
        run_key: random, the same for all masks of a run: `uuid` depends on it.
    """
    return _MAKERS[rule.algorithm](rule, run_key)


def _text_of(value: Any) -> str:
    """Return the text of a text, a number or a UUID.

    Raises:
        DoesNotFit: it is something else.
    """
    if isinstance(value, str):
        return value
    written = comparable.text(value) if isinstance(value, int | float | Decimal | UUID) else None
    if written is None or isinstance(value, bool):
        raise DoesNotFit("text or numbers")
    return written


def _digits_of(value: Any) -> str:
    number = value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None
    if number is None and not isinstance(value, str):
        raise DoesNotFit("text or whole numbers")
    written = _text_of(value)
    if number is not None and not written.isdecimal():
        raise DoesNotFit("text or whole numbers")
    return _NO_DIGIT.sub("", written)


def _data_of(value: Any) -> bytes:
    data = comparable.data(value)
    if data is None:
        raise DoesNotFit("text, numbers, dates, bytes, or nested values of these")
    return data


def _number_of(value: Any) -> Number:
    number = comparable.number(value)
    if number is None:
        raise DoesNotFit("numbers, or text that is a number")
    return number


def _moment_of(value: Any) -> date:
    moment = comparable.moment(value)
    if moment is None:
        raise DoesNotFit("dates, points in time, or text that is one in ISO 8601")
    return moment


def _is_blank(value: Any) -> bool:
    """Tell whether a value is a text with nothing in it, which files of text have where a number or date is missing."""
    return isinstance(value, str) and not value.strip()


def _digest(kind: Callable[[bytes], Any]) -> Callable[[Any], str]:
    return lambda value: str(kind(_data_of(value)).hexdigest())


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)


def _hmac(rule: MaskRule, _run_key: bytes) -> Algorithm:
    key = rule.parameter.encode("utf-8", "surrogatepass")
    return Algorithm("hmac", lambda value: hmac.digest(key, _data_of(value), "sha256").hex(), keeps_apart=True)


def _email(value: Any) -> str:
    if not isinstance(value, str):
        raise DoesNotFit("text")
    local, at, domain = value.rpartition("@")
    if not at:
        return _shown_at_ends(value, 2)
    return f"{_shown_at_ends(local, 1)}@{domain}"


def _phone(value: Any) -> str:
    digits = _digits_of(value)
    return f"{digits[:3]}-***-****" if len(digits) >= 10 else "*" * len(digits)


def _credit_card(value: Any) -> str:
    digits = _digits_of(value)
    return "*" * (len(digits) - 4) + digits[-4:] if len(digits) >= 12 else "*" * len(digits)


def _ssn(value: Any) -> str:
    digits = _digits_of(value)
    return f"***-**-{digits[-4:]}" if len(digits) == 9 else "*" * len(digits)


def _shown_at_ends(text: str, count: int) -> str:
    if len(text) <= 2 * count:
        return "*" * len(text)
    return text[:count] + "*" * (len(text) - 2 * count) + text[-count:]


def _partial(rule: MaskRule, _run_key: bytes) -> Algorithm:
    count = int(rule.parameter)
    return Algorithm("partial", lambda value: _shown_at_ends(_text_of(value), count))


def _first_letter(value: Any) -> str:
    text = _text_of(value)
    return text[:1] + "*" * (len(text) - 1) if len(text) > 1 else "*" * len(text)


def _fixed_value(rule: MaskRule, _run_key: bytes) -> Algorithm:
    text = rule.parameter
    return Algorithm("fixed", lambda _value: text)


def _uuid(_rule: MaskRule, run_key: bytes) -> Algorithm:
    def mask(value: Any) -> str:
        return str(UUID(bytes=hmac.digest(run_key, _data_of(value), "sha256")[:16], version=4))

    return Algorithm("uuid", mask, is_deterministic=False, keeps_apart=True)


def _sequential(_rule: MaskRule, _run_key: bytes) -> Algorithm:
    numbers: dict[bytes, int] = {}
    lock = threading.Lock()

    def mask(value: Any) -> int:
        seen = hashlib.blake2b(_data_of(value), digest_size=16).digest()
        with lock:
            return numbers.setdefault(seen, len(numbers) + 1)

    return Algorithm("sequential", mask, result="bigint", is_deterministic=False, keeps_apart=True)


_random = random.SystemRandom()


def _any(value: Any) -> Any:
    if isinstance(value, str):
        return os.urandom(len(value)).translate(_TO_CHARACTERS).decode()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise DoesNotFit("text or numbers")
    if isinstance(value, int):
        size = 10 ** (len(str(abs(value))) - 1)
        return size + secrets.randbelow(9 * size)
    if isinstance(value, Decimal):
        return _like(Decimal(_random.random()) * 2 * abs(value), value)
    return _random.uniform(0, 2 * abs(value))


def _like(number: Decimal, value: Decimal) -> Decimal:
    """Return `number` with as many decimal places as `value` has."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not number.is_finite():
        return number
    return number.quantize(Decimal(1).scaleb(exponent), context=_EXACT)


def _back(number: Decimal, value: Any) -> Any:
    """Return `number` in the type of `value`: a text stays one."""
    if isinstance(value, int):
        return int(number.to_integral_value(context=_EXACT))
    if isinstance(value, float):
        return float(number)
    return number if isinstance(value, Decimal) else f"{number:f}"


def _round_number(rule: MaskRule, _run_key: bytes) -> Algorithm:
    step = Decimal(rule.parameter)

    def mask(value: Any) -> Any:
        if _is_blank(value):
            return None
        number = Decimal(str(_number_of(value)))
        if not number.is_finite():
            return value
        rounded = _EXACT.multiply(_EXACT.quantize(_EXACT.divide(number, step), _WHOLE), step)
        return _back(_like(rounded, value) if isinstance(value, Decimal) else rounded, value)

    return Algorithm("round", mask, result="same")


def _range(rule: MaskRule, _run_key: bytes) -> Algorithm:
    step = int(rule.parameter)

    def mask(value: Any) -> str | None:
        if _is_blank(value):
            return None
        number = Decimal(str(_number_of(value)))
        if not number.is_finite():
            raise DoesNotFit("finite numbers")
        lower = int(number.to_integral_value("ROUND_FLOOR", context=_EXACT)) // step * step
        return f"{lower}-{lower + step}"

    return Algorithm("range", mask)


def _noise(rule: MaskRule, _run_key: bytes) -> Algorithm:
    level = float(rule.parameter)

    def mask(value: Any) -> Any:
        if _is_blank(value):
            return None
        found = _number_of(value)
        share = 1 + _random.uniform(-level, level)
        if isinstance(value, float):
            return value * share
        number = _EXACT.multiply(Decimal(found), Decimal(share))
        exact = Decimal(found) if isinstance(value, str) else value
        return _back(_like(number, exact) if isinstance(exact, Decimal) else number, value)

    return Algorithm("noise", mask, result="same", is_deterministic=False)


def _date_shift(rule: MaskRule, _run_key: bytes) -> Algorithm:
    most = int(rule.parameter)

    def mask(value: Any) -> Any:
        if _is_blank(value):
            return None
        moment = _moment_of(value)
        day = (moment.date() if isinstance(moment, datetime) else moment).isoformat()
        drawn = int.from_bytes(hashlib.sha256(f"date_shift:{most}:{day}".encode()).digest()[:8]) % (2 * most)
        try:
            shifted = moment + timedelta(days=drawn - most if drawn < most else drawn - most + 1)
        except OverflowError:
            raise DoesNotFit("dates that are still dates after the shift") from None
        return shifted.isoformat() if isinstance(value, str) else shifted

    return Algorithm("date_shift", mask, result="same")


def _year_only(value: Any) -> int | None:
    return None if _is_blank(value) else _moment_of(value).year


def _month_year(value: Any) -> str | None:
    if _is_blank(value):
        return None
    moment = _moment_of(value)
    return f"{moment.year:04d}-{moment.month:02d}"


def _simple(name: str, mask: Callable[[Any], Any], **rest: Any) -> Callable[[MaskRule, bytes], Algorithm]:
    made = Algorithm(name, mask, **rest)
    return lambda _rule, _run_key: made


_MAKERS: Final[dict[str, Callable[[MaskRule, bytes], Algorithm]]] = {
    "hash": _simple("hash", _digest(hashlib.sha256), keeps_apart=True),
    "sha256": _simple("sha256", _digest(hashlib.sha256), keeps_apart=True),
    "md5": _simple("md5", _digest(_md5), keeps_apart=True),
    "hmac": _hmac,
    "redact": _simple("redact", lambda _value: "REDACTED"),
    "email": _simple("email", _email),
    "phone": _simple("phone", _phone),
    "credit_card": _simple("credit_card", _credit_card),
    "ssn": _simple("ssn", _ssn),
    "partial": _partial,
    "first_letter": _simple("first_letter", _first_letter),
    "stars": _simple("stars", lambda value: "*" * len(_text_of(value))),
    "fixed": _fixed_value,
    "uuid": _uuid,
    "sequential": _sequential,
    "random": _simple("random", _any, result="same", is_deterministic=False),
    "round": _round_number,
    "range": _range,
    "noise": _noise,
    "date_shift": _date_shift,
    "year_only": _simple("year_only", _year_only, result="bigint"),
    "month_year": _simple("month_year", _month_year),
}
