"""Our side of dlt: the context it runs in, its state and schemas, its failures."""
