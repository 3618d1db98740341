"""Steps that change rows or their columns."""
