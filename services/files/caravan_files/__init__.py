"""What clients upload: metadata in PostgreSQL, contents in the object store."""
