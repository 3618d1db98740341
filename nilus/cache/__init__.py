"""Folders that are made once, shared by processes, and pruned."""

from nilus.cache.entries import Cache, Entry

__all__ = ["Cache", "Entry"]
