"""uv: running it, its settings, its failures."""
