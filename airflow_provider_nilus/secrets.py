"""The forms in which a secret may turn up in a text."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import quote, quote_plus


def forms(secret: str) -> Iterator[str]:
    """Yield the secret as it is, URL-encoded both ways, and in base64; nothing for an empty one."""
    if not secret:
        return
    seen: set[str] = set()
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ):
        if form not in seen:
            seen.add(form)
            yield form
