"""Settings of other people's tools that point them at a Caravan: what `caravan connect` prints and writes.

A tool is one file with a class that meets :class:`caravan.connecting.base.Tool`; `tools` lists them, `files` writes.
"""
