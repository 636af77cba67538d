"""Time that passes only when nobody has anything to do: what is measured in it does not depend on the machine.

For tests in which everything is in this process, since a wait for anything outside would end at once.
"""

from __future__ import annotations

import asyncio
import selectors
import time

import pytest


class _Jumping(selectors.DefaultSelector):
    """Does not sleep, but says that time has passed."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(None if timeout is None else 0)
        if not found and timeout is not None and timeout > 0:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with such a time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def share_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for the time by itself gets the running loop's."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(time, "monotonic", loop.time)
    monkeypatch.setattr(time, "time", loop.time)
