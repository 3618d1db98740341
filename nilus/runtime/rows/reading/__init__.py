"""Which rows a run reads."""
