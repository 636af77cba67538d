"""Vector stores over HTTP, in OpenAI's shapes, and raw chunks in those of Llama Stack. The vector service keeps them.

- `asking.py`: the vector service
- `bodies.py`: what clients send
- `stores.py`: stores; `searching.py`: their search
- `files.py`: files of a store, and what was read of them; `batches.py`: many files at once
- `raw.py`: chunks that clients made themselves; `chunks.py`: those of a body as the service takes them
"""
