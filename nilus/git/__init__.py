"""git itself: its commands, credentials, failures, versions, refs and URLs."""
