"""``/v1/responses`` over a WebSocket: OpenAI's mode for agents that ask many times in a row.

`handshake.py` says which connections may become one, `protocol.py` has uvicorn's framing with a drain of its own
(imported with the first socket), `responses.py` serves a connection, `reading.py` reads what its client sends,
`chains.py` remembers what is not to be stored, and `warming.py` answers who wants nothing yet.
"""
