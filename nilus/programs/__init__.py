"""Running a program: until a deadline, with its group ended, its failure read."""
