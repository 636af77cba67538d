"""How far apart the frames of a quick stream leave.

What costs is a wake-up, at the worker, at NATS and at the gateway, not a byte: tokens that arrive faster than a reader
could tell are sent together. A stream slower than that is never touched, and neither are the first frames of any.
"""

from __future__ import annotations

import time
from typing import Final

FREE_FRAMES: Final = 2
"""Frames of a stream that are never held back: what providers send before the first token, and the first token."""


class Pace:
    """For one stream."""

    __slots__ = ("_frames", "_gap", "_last")

    def __init__(self, gap: float) -> None:
        """`gap` in seconds; 0 = no pace."""
        self._gap = gap
        self._frames = 0
        self._last = 0.0

    def pause(self) -> float:
        """Seconds to wait, and to gather more in, before what has just arrived is sent; 0 = send it now.

        All streams of a process wait for the same ticks, so that their frames leave in one write.
        """
        now = time.monotonic()
        since = now - self._last
        self._frames += 1
        if since >= self._gap or self._frames <= FREE_FRAMES:
            self._last = now
            return 0.0
        wait = self._gap - now % self._gap
        self._last = now + wait
        return wait
