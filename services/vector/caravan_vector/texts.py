"""What of a text can be kept."""

from __future__ import annotations

from typing import Any


def storable(text: str) -> bool:
    """Whether PostgreSQL takes it: no zero bytes, no half characters."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable_json(value: Any) -> bool:
    """The same of every text in a JSON value, names of pairs included."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += (*each.keys(), *each.values())
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and not storable(each):
            return False
    return True
