"""Sinks that are databases."""
