"""What crosses the border between a task's process and the child that runs its source."""
