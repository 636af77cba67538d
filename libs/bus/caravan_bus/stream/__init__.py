"""Streams of frames: credit, resend, heartbeats, cancel, ends that are never lost and never lie.

- :mod:`sender`: one stream as its worker sees it
- :mod:`server`: all streams of a worker: admission by slots, control messages, heartbeats, drain
- :mod:`reader`: one stream as its caller sees it
- :mod:`inbox`: all streams of a caller, under one wildcard inbox
"""
