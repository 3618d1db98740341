"""Sinks that are folders and buckets of files."""
