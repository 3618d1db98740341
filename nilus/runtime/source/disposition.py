"""Whether a resource says itself how its rows are written.

dlt's decorators put the default, `append`, where nothing was said, so that afterwards nobody can tell the two apart;
but the workflow's strategy applies only to resources that say nothing. Hence the default is made recognisable.
"""

from __future__ import annotations

from dlt.extract import DltResource

from nilus.runtime.engine.internals.resources import default_disposition, hints_of, set_default_disposition


class _Unset(str):
    """dlt's default write disposition."""

    __slots__ = ()


def mark_unset() -> None:
    """Let resources decorated from now on bear a mark if they name no write disposition; again is harmless."""
    default = default_disposition()
    if not isinstance(default, _Unset):
        set_default_disposition(_Unset(default))


def forget_unset(resource: DltResource) -> None:
    """Take the mark out of the hints of `resource`: what it did not say is not there (dlt then means the same)."""
    hints = hints_of(resource)
    if isinstance(hints.get("write_disposition"), _Unset):
        hints.pop("write_disposition")
