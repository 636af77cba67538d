"""Who asked the scripted providers, and when. Times are of the monotonic clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Attempt:
    """One request that reached a provider."""

    provider: str
    """``a``, ``b`` or ``c``."""
    model: str
    at: float
    stream: bool
    prefilled: bool
    """Whether it was to go on from a beginning of its answer."""
    first_sent: float = 0.0
    last_sent: float = 0.0
    """When the first and the last word left; 0 = none did."""


@dataclass(slots=True)
class Attempts:
    """All of them, in their order."""

    rows: list[Attempt] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, attempt: Attempt) -> int:
        """Add one; how many its provider had for this model before."""
        with self._lock:
            before = sum(r.provider == attempt.provider and r.model == attempt.model for r in self.rows)
            self.rows.append(attempt)
            return before

    def of(self, model: str, provider: str = "") -> list[Attempt]:
        """Those for a model, at one provider or at all of them."""
        with self._lock:
            return [row for row in self.rows if row.model == model and provider in ("", row.provider)]
