"""One task's run: its context, settings, secrets, and its access to repository, environment and sink."""
