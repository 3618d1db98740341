"""One run of one source: a job comes in, events go out."""
