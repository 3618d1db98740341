"""The source: its class is found, called, and what it returns is taken."""
