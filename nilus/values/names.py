"""Names that become parts of paths, of tables or of URIs: which of them are refused."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from nilus.values.redaction import redact_value

RESERVED_PREFIXES: Final = ("_airflow_", "_dlt_")
"""What the names of Nilus's and dlt's own tables begin with."""

LOAD_ID: Final = r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}\Z"
"""What every load id matches: dlt's are the seconds since 1970, with a point."""

_LONGEST_NAME = 512
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def is_reserved(name: str) -> bool:
    """Tell whether a table or schema of this name would be taken for one of Nilus's or dlt's own."""
    return name.strip().casefold().startswith(RESERVED_PREFIXES)


def check_load_id(load_id: object) -> str:
    """Return a load id that may be a part of a path.

    Raises:
        ValueError: it may not.
    """
    if not isinstance(load_id, str) or not re.match(LOAD_ID, load_id):
        raise ValueError(f"expected a load id: letters, digits, '.', '_' and '-', found {str(load_id)[:80]!r}")
    return load_id


def check_identifier(name: str) -> str:
    """Return the name of a table or a schema that is one name wherever it is written: in a path, a URI, a log.

    Raises:
        ValueError: it leads elsewhere as a part of a path, also once it is decoded, or is a reserved one.
    """
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(f"expected a name of 1 to {_LONGEST_NAME} characters, found {len(name)}")
    decoded = unquote(name) if _ESCAPE.search(name) else name
    if decoded != name or not name.isprintable() or {"/", "\\"} & set(name) or name.strip(" .") == "":
        raise ValueError(f"expected a name without /, \\, %-escapes and control characters, found {redact_value(name)}")
    if is_reserved(name):
        raise ValueError(
            f"expected a name that is not reserved (by {' or '.join(RESERVED_PREFIXES)}), found {redact_value(name)}"
        )
    return name
