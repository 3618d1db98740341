"""Interpreters and what is installed beside them."""
