"""Reading files into stores: fetch, parse, chunk, embed, index.

A file is a row first and a job of the work queue `ingest` then; a row whose job was lost gets another. Whoever takes a
file up gets a new epoch of its row and a lease; what was indexed before is not embedded again. Nothing here holds more
than a few batches of chunks: a slow model makes the parser wait, and the queue waits for both.
"""
