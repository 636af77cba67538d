"""Counting what happened of late, in a fixed number of numbers."""

from __future__ import annotations

from typing import Final

_PARTS: Final = 10


class Window:
    """A sum over the last `seconds`, precise to a tenth of them. Times are seconds of any clock that does not go
    back."""

    __slots__ = ("_at", "_counts", "_part")

    def __init__(self, seconds: float) -> None:
        self._part = seconds / _PARTS
        self._counts = [0] * _PARTS
        self._at = 0

    def add(self, now: float, count: int = 1) -> None:
        """`count` more happened."""
        self._move(now)
        self._counts[self._at % _PARTS] += count

    def sum(self, now: float) -> int:
        """How much happened."""
        self._move(now)
        return sum(self._counts)

    def falls_below(self, now: float, bound: int) -> float:
        """Seconds until the sum is less than `bound` when nothing more happens."""
        self._move(now)
        left = sum(self._counts)
        for step in range(1, _PARTS + 1):
            if left < bound:
                return (step - 1) * self._part
            left -= self._counts[(self._at + step) % _PARTS]
        return _PARTS * self._part

    def clear(self) -> None:
        """Forget it."""
        self._counts = [0] * _PARTS

    def _move(self, now: float) -> None:
        at = int(now / self._part)
        gone = at - self._at
        if gone <= 0:
            return
        if gone >= _PARTS:
            self.clear()
        else:
            for step in range(1, gone + 1):
                self._counts[(self._at + step) % _PARTS] = 0
        self._at = at
