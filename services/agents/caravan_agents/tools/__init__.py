"""Tools that run on the server.

- :mod:`base`: what a tool is to a run: it announces its call, runs it, and says how it ended
- :mod:`mcp`: tools of servers of the Model Context Protocol
- :mod:`served`: which of them a request may have
- :mod:`search`: `web_search`, with a search engine of the operator's choice
- :mod:`files`: `file_search`, in vector stores
"""
