"""Sinks that are Iceberg catalogs."""
