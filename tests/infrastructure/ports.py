"""Ports for servers of the tests."""

from __future__ import annotations

import atexit
import itertools

from caravan.runtime.ports import Ports

_OURS = Ports()
atexit.register(_OURS.close)
_NUMBERS = itertools.count()


def free_port() -> int:
    """Nobody else's until this process ends."""
    return _OURS.take(f"test-{next(_NUMBERS)}")
