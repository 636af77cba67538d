"""Calls that take turns at the model: one run at a time, and what waits meanwhile is merged into the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import Unavailable

from caravan_inference.providers.onnx_embeddings.batches import Batch, Share, plan

if TYPE_CHECKING:
    from caravan_inference.providers.onnx_embeddings.model import Vectors

Rows = list[list[int]]
Embed = Callable[[Rows], Awaitable["Sequence[Vectors]"]]
_MERGED: Final = 16
"""Calls looked at for one batch, the oldest ones: bounds by how many a call may be overtaken."""


class _Ticket(Share):
    """One call: its texts and what has become of them."""

    def __init__(self, rows: Rows) -> None:
        super().__init__([len(row) for row in rows])
        self.rows = rows
        self.vectors: list[Vectors | None] = [None] * len(rows)
        self.missing = len(rows)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, position: int, vector: Vectors) -> None:
        self.vectors[position] = vector
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Turns:
    """Feeds `embed` with batches. A call that comes while nothing is computed is computed at once, alone."""

    def __init__(self, embed: Embed, run_tokens: int) -> None:
        self._embed = embed
        self._run_tokens = run_tokens
        self._waiting: deque[_Ticket] = deque()
        self._task: asyncio.Task[None] | None = None
        self._current = Batch(run_tokens)
        self.runs = 0
        """Batches computed so far."""

    async def vectors(self, rows: Rows) -> list[Vectors]:
        """One vector per row. Cancelled, it takes its texts out of the line; those under way are computed in vain."""
        ticket = _Ticket(rows)
        self._waiting.append(ticket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="embedding")
        try:
            await ticket.done
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        return [vector for vector in ticket.vectors if vector is not None]

    async def close(self) -> None:
        """Give up what is computed and what waits."""
        await cancel_and_wait(self._task)
        for ticket in (*_tickets(self._current), *self._waiting):
            ticket.fail(Unavailable("the embedder is shutting down"))
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting:
            batch = self._current = self._next()
            try:
                await self._compute(batch)
            except Exception as error:  # noqa: BLE001  whatever the runtime raises belongs to the calls
                await self._alone(batch, error)

    def _next(self) -> Batch:
        """The call whose turn it is goes first; one that has more texts stands in line again."""
        first = self._waiting.popleft()
        others = [self._waiting[i] for i in range(min(len(self._waiting), _MERGED))]
        batch = plan(first, others, self._run_tokens)
        if first.waiting:
            self._waiting.append(first)
        for ticket in others:
            if not ticket.waiting:
                self._waiting.remove(ticket)
        return batch

    async def _compute(self, batch: Batch) -> None:
        self.runs += 1
        rows = [_ticket(share).rows[position] for share, position in batch.rows]
        made = await self._embed(rows)
        for (share, position), vector in zip(batch.rows, made, strict=True):
            _ticket(share).put(position, vector)

    async def _alone(self, batch: Batch, error: Exception) -> None:
        """A batch failed: only the call that is to blame shall fail with it."""
        tickets = _tickets(batch)
        if len(tickets) == 1:
            self._fail(tickets[0], error)
            return
        for ticket in tickets:
            own = Batch(self._run_tokens, [row for row in batch.rows if row[0] is ticket])
            try:
                await self._compute(own)
            except Exception as again:  # noqa: BLE001  as above
                self._fail(ticket, again)

    def _fail(self, ticket: _Ticket, error: Exception) -> None:
        ticket.fail(error)
        if ticket in self._waiting:
            self._waiting.remove(ticket)


def _tickets(batch: Batch) -> list[_Ticket]:
    return list(dict.fromkeys(_ticket(share) for share, _ in batch.rows))


def _ticket(share: Share) -> _Ticket:
    assert isinstance(share, _Ticket)
    return share
