"""The process that runs a source: starting, watching and hearing it."""
