"""The events of one run, on their way: kept, written to the tail, and then given to whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from caravan_contracts.errors import CaravanError, Conflict, DependencyDown

from caravan_agents.runs.tail import Tail, TailWriter

MAX_WAITING: Final = 256 * 1024
"""Bytes that wait for the tail; beyond them the model is not read."""
_MOVE_SECONDS: Final = 30.0
MAX_LOG: Final = 32 * 1024 * 1024
"""Bytes of all events of a run."""


class RunTaken(Conflict):
    """Another process goes on with this run."""

    code = "run_taken"


class Out(Protocol):
    """Who reads the events as they are made."""

    def write(self, data: bytes) -> bool:
        """Pass them on; False when there is no room for more."""
        ...

    async def room(self) -> None:
        """Wait for it."""
        ...


class RunLog:
    """One run's."""

    def __init__(self, out: Out | None, keep: bool) -> None:
        """Without `keep` events are passed on and forgotten."""
        self._out = out
        self._keep = keep
        self._tail: TailWriter | None = None
        self._kept: list[tuple[int, int, bytes]] = []
        """What PostgreSQL does not have: first number, number behind the last, events."""
        self._turn = 0
        """Where in `_kept` the turn of the model begins."""
        self._saved = 0
        """PostgreSQL has everything before the event of this number."""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._full = False
        self._moved: asyncio.Future[None] | None = None
        self.size = 0
        """Bytes of all events so far."""

    def to_tail(self, tail: Tail, tenant: str, id: str, epoch: int) -> TailWriter:
        """From here on what is said is in Redis before it is read."""
        self._tail = TailWriter(tail, tenant, id, epoch, self._passed, self._again)
        return self._tail

    @property
    def degraded(self) -> bool:
        """Whether nobody but this process has the newest events."""
        return (self._tail is None or self._tail.broken) and bool(self.unsaved())

    def before(self, first: int, behind: int, data: bytes) -> None:
        """What was said before, by another process, and is in the tail already."""
        self._kept.append((first, behind, data))
        self.size += len(data)

    def tell(self, first: int, behind: int, data: bytes) -> bool:
        """Events from the number `first` to that before `behind`; False when there is no room for more (then
        ``await room()``). Raises RunTaken, and CaravanError when they are too much."""
        if not data:
            return not self._full
        self.size += len(data)
        if self._keep:
            if self.size > MAX_LOG:
                raise CaravanError(f"the events of this response are more than {MAX_LOG} bytes", code="too_large")
            self._kept.append((first, behind, data))
        if self._tail is None:
            return self._send(data)
        if self._tail.fenced:
            raise taken()
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._tail.put(first, behind, data)
        return not self._full and self._waiting_bytes < MAX_WAITING

    async def room(self) -> None:
        """Wait until more may be told."""
        while self._waiting_bytes >= MAX_WAITING:
            await self._move()
        if self._full and self._out is not None:
            await self._out.room()
            self._full = False

    async def settled(self) -> None:
        """Wait until everything has gone out. Raises RunTaken."""
        while self._waiting:
            await self._move()
        if self._tail is not None and self._tail.fenced:
            raise taken()

    def begin_turn(self) -> None:
        """What comes now is of one turn of the model."""
        self._turn = len(self._kept)

    def turn(self) -> bytes:
        """All events of the turn so far."""
        return b"".join([entry[2] for entry in self._kept[self._turn :]])

    def unsaved(self) -> list[tuple[int, bytes]]:
        """What PostgreSQL does not have: each with its first number."""
        return [(first, data) for first, _, data in self._kept if first >= self._saved]

    def saved(self, behind: int) -> None:
        """PostgreSQL has everything before the number `behind`."""
        self._saved = max(self._saved, behind)

    @property
    def saved_behind(self) -> int:
        """PostgreSQL has everything before the event of this number."""
        return self._saved

    def end_turn(self) -> None:
        """The turn is over, and PostgreSQL has all of it."""
        self._kept = [entry for entry in self._kept if entry[0] >= self._saved]
        self._turn = len(self._kept)

    def forget_turn(self) -> None:
        """Nobody has seen anything of it, and nobody will."""
        gone = self._kept[self._turn :]
        self.size -= sum(len(entry[2]) for entry in gone)
        del self._kept[self._turn :]
        if gone:
            self._saved = min(self._saved, gone[0][0])

    def begin_tail_anew(self, first: int) -> None:
        """The tail was forgotten; PostgreSQL has everything before the event `first`."""
        if self._tail is not None:
            self._tail.go_on(first)

    def end(self) -> None:
        """What is told now is the last."""
        if self._tail is not None:
            self._tail.ended = True

    def close(self) -> None:
        """It is over here: what it kept is free at once, not when cycles are looked for."""
        self._kept.clear()
        self._tail = self._out = None

    def _again(self, first: int) -> tuple[int, int, bytes]:
        left = [entry for entry in self._kept if entry[0] >= first]
        if not left:
            return first, first, b""
        return left[0][0], left[-1][1], b"".join([entry[2] for entry in left])

    def _passed(self, count: int) -> None:
        data = [self._waiting.popleft() for _ in range(count)]
        joined = data[0] if count == 1 else b"".join(data)
        self._waiting_bytes -= len(joined)
        if self._tail is None or not self._tail.fenced:
            self._send(joined)
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    def _send(self, data: bytes) -> bool:
        if self._out is not None:
            self._full = not self._out.write(data)
        return not self._full

    async def _move(self) -> None:
        if self._moved is None or self._moved.done():
            self._moved = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_MOVE_SECONDS):
                await asyncio.shield(self._moved)
        except TimeoutError as error:
            raise DependencyDown("the events of a response cannot be written now", retry_after=2) from error


def taken() -> RunTaken:
    """Somebody else goes on."""
    return RunTaken("another process goes on with this response", retry_after=1)
