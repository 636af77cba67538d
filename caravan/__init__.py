"""Caravan: the command and the embedded runtime."""

__version__ = "0.1.0"
