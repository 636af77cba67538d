"""Defaults that the command line shows and the runtime uses."""

from __future__ import annotations

HOST = "127.0.0.1"
PORT = 8321
