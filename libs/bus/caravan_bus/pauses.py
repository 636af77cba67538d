"""Growing, jittered pauses between tries, so that many processes do not come back in step."""

from __future__ import annotations

import random
from collections.abc import Iterator


def pauses(first: float = 0.05, longest: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each next try, for ever."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(longest, pause * 2)
