"""From a repository at a ref to a checkout: `checkout` is the way in."""

from nilus.cache.folder import default_cache_dir
from nilus.git.commands import Credentials
from nilus.repository.base_dir import base_dir
from nilus.repository.fetch import Checkout, Settings, checkout, checkout_from_cache, look_up
from nilus.repository.signatures import TrustedKeys

__all__ = [
    "Checkout",
    "Credentials",
    "Settings",
    "TrustedKeys",
    "base_dir",
    "checkout",
    "checkout_from_cache",
    "default_cache_dir",
    "look_up",
]
