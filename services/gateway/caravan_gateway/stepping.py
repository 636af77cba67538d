"""Coroutines that rarely have to wait, run on the spot: no task, timer or context is made for one that does not."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from typing import Any


class Step:
    """One awaitable, begun. It is to be awaited through :meth:`rest` unless it is :attr:`done`."""

    __slots__ = ("_steps", "_waits_for", "done", "value")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        """Run it until it ends or has to wait. Raises what it raises."""
        self.done = False
        self.value: Any = None
        """What it returned, once it is done."""
        steps = awaitable.__await__()
        try:
            self._waits_for: Any = steps.send(None)
        except StopIteration as stop:
            self.done, self.value = True, stop.value
        else:
            self._steps: Any = steps

    @types.coroutine
    def rest(self) -> Generator[Any, Any, Any]:
        """Run it to its end: what it returned. Once."""
        steps, waits_for = self._steps, self._waits_for
        while True:
            try:
                got = yield waits_for
            except BaseException as error:  # noqa: BLE001  # a cancelled task, for one: it is the coroutine's business
                thrown: BaseException | None = error
            else:
                thrown = None
            try:
                waits_for = steps.throw(thrown) if thrown is not None else steps.send(got)
            except StopIteration as stop:
                return stop.value
