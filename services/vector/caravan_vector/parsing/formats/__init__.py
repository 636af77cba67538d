"""The parsers: each reads an `Opened` document and yields pieces. Imported in worker processes alone."""
