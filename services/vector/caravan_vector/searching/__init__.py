"""Search: the text of a query in, passages with their files out."""
