"""What to do about what a destination said, and whether another try can help: the same for all sinks."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The first that fits counts. A token may be another one at the next try, an endpoint and a certificate are not.
_KNOWN = (
    (
        r"certificate.?verify.?failed|self.?signed certificate|unable to get local issuer certificate",
        "Have the worker trust the authority that signed the destination's certificate: name its file in "
        "SSL_CERT_FILE, for S3 in AWS_CA_BUNDLE.",
        False,
    ),
    (
        r"invalid endpoint|no scheme supplied|missing ?schema",
        "Write the endpoint with its scheme: https://host:port.",
        False,
    ),
    (
        r"expired ?token|token[\w ]{0,20} expired|credentials[\w ]{0,20} expired",
        "Renew the token of the sink's connection: it has expired.",
        True,
    ),
)


def can_retry(said: str, refusals: Sequence[str]) -> bool:
    """Whether another try can help.

    Args:
        said: the destination's own message.
        refusals: patterns of what the sink says when it cannot, case ignored.
    """
    if any(re.search(refusal, said, re.IGNORECASE) for refusal in refusals):
        return False
    return next((retryable for pattern, _, retryable in _KNOWN if re.search(pattern, said, re.IGNORECASE)), True)


def remedy(said: str, *, retryable: bool, is_job: bool) -> str:
    """Return what to do.

    Args:
        said: the destination's own message.
        retryable: whether another try can help.
        is_job: a file was being loaded.
    """
    for pattern, known, _ in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE):
            return known
    if not retryable:
        return "see the message, it is the destination's own: another try meets the same"
    if is_job:
        return "see the message, it is the destination's own; the job was tried several times"
    return "check that the destination is up and can be reached from this worker; the task may be tried again"
