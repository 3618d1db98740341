"""Whether a resource says itself how its rows are written.

dlt's decorators put the default, `append`, where nothing was said, so that afterwards nobody can tell the two apart;
but the workflow's strategy applies only to resources that say nothing. Hence the default is made recognisable.
"""

from __future__ import annotations

from dlt.extract import DltResource, decorators

_DEFAULT = "DEFAULT_WRITE_DISPOSITION"


class _Unset(str):
    """dlt's default write disposition."""

    __slots__ = ()


def mark_unset() -> None:
    """Let resources decorated from now on bear a mark if they name no write disposition; again is harmless."""
    default = vars(decorators)[_DEFAULT]
    if not isinstance(default, _Unset):
        setattr(decorators, _DEFAULT, _Unset(default))


def forget_unset(resource: DltResource) -> None:
    """Take the mark out of the hints of `resource`: what it did not say is not there (dlt then means the same)."""
    hints = resource._hints
    if hints is not None and isinstance(hints.get("write_disposition"), _Unset):
        hints.pop("write_disposition")
