"""The registry: which providers and models there are, in PostgreSQL, for everybody on the bus."""
