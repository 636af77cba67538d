"""How long answers take: measured when they end, looked at only by those who wait.

One number each request that is served; nothing per token.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_KEPT: Final = 32
_ENOUGH: Final = 5
_MAX_MODELS: Final = 1024


class Pace:
    """Of the providers that a process asks. Seconds from the slot taken to the answer's end."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], deque[float]] = {}
        self._means: dict[str, float] = {}

    def note(self, provider: str, model: str, seconds: float) -> None:
        """An answer is complete."""
        kept = self._models.get((provider, model))
        if kept is None:
            if len(self._models) >= _MAX_MODELS:  # names that a provider takes without listing them have no end
                self._models.clear()
            kept = self._models[provider, model] = deque(maxlen=_KEPT)
        kept.append(seconds)
        if len(self._means) >= _MAX_MODELS:
            self._means.clear()
        mean = self._means.get(provider, seconds)
        self._means[provider] = mean + (seconds - mean) * 0.1

    def usual(self, provider: str, model: str) -> float:
        """What three quarters of a model's last answers took at most, and a tenth; of a few the quickest, of none 0.0:
        an answer that takes a little longer than the one before it is still to be in time."""
        kept = sorted(self._models.get((provider, model), ()))
        if not kept:
            return 0.0
        return 1.1 * (kept[len(kept) * 3 // 4] if len(kept) >= _ENOUGH else kept[0])

    def wait(self, provider: str, ahead: int, slots: float) -> float:
        """How long one waits behind `ahead` others for one of so many slots; 0.0 while nothing is known."""
        return self._means.get(provider, 0.0) * ahead / max(slots, 1.0)
