"""Masks: rules, algorithms, and where they apply."""
