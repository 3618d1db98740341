"""What a custom source imports: everything dlt has, under the name `nilus`, and the two base classes.

`nilus.resource is dlt.resource`, `nilus.common.typing is dlt.common.typing`, and so on for every public name and
every module of the dlt that is installed. The modules of this project (`nilus.errors`, `nilus.workflow`, …) come
before a module of dlt's that has the same name. `import nilus` does not import dlt: the first use of its names does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nilus import _alias
from nilus.custom_source import CustomDestination as CustomDestination
from nilus.custom_source import CustomSource as CustomSource

if TYPE_CHECKING:
    from dlt import *  # noqa: F403
    from dlt import TSecretStrValue as TSecretStrValue
    from dlt import __version__ as __version__
    from dlt import common as common
    from dlt import extract as extract
else:
    __getattr__ = _alias.attribute
    __dir__ = _alias.names

_alias.install()
