"""Where a task's incremental state lives: the record, and the stores that keep it."""
