"""Sinks that are warehouses."""
