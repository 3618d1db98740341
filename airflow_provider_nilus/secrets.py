"""The forms in which a secret may turn up in a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus


def forms(secret: str) -> Iterator[str]:
    """Yield the forms of a secret; nothing for an empty one.

    They are: as it is, URL-encoded both ways, in base64, escaped as Python and JSON write it inside quotes, and, for
    one of several lines (a private key), each line: a log is masked line by line.
    """
    if not secret:
        return
    lines = [line.strip() for line in secret.splitlines()]
    seen: set[str] = set()
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *(lines if len(lines) > 1 else ()),
    ):
        if form and form not in seen:
            seen.add(form)
            yield form
