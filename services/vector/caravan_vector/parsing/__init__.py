"""Documents in, text with its place out, by processes of their own: nobody knows what a document does to its reader.

- `types.py`: the one table of what can be read; `sniffing.py` decides by declaration, name and content.
- `pool.py` `ParserPool`: the worker processes; `process.py`: one of them, and what its end means.
- `worker.py`: what runs in such a process; `formats/` are the parsers, imported nowhere else.
- `frames.py`: what passes between the two; `limits.py`: what a document may cost; `errors.py`: how it fails.

Nothing is imported here: a worker starts with what it needs and no more.
"""
