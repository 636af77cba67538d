"""What of a text can be kept."""

from __future__ import annotations


def storable(text: str) -> bool:
    """Whether PostgreSQL takes it: no zero bytes, no half characters."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
