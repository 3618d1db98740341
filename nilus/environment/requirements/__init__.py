"""The file that lists what a source needs."""
