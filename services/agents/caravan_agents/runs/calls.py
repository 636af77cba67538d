"""The calls of one turn that the server runs: side by side, each once, whatever dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import orjson
from caravan_bus.pauses import pauses
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DependencyDown

from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.items import Item
from caravan_agents.runs import spans
from caravan_agents.runs.journal import Claimed, Journal
from caravan_agents.runs.state import Pending
from caravan_agents.tools.base import HostedTool, Outcome

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
_INTERRUPTED: Final = "the call was cut off, and nobody knows whether it was done; it is not safe to make it again"


class ToolFailed(Exception):
    """For the span of a call that failed."""


class Emitting:
    """See :class:`caravan_agents.tools.base.Emit`."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._pieces: list[bytes] = []

    def add(self, item: Item) -> int:
        """Announce an item."""
        index, data = self._writer.add_item(item)
        self._pieces.append(data)
        return index

    def event(self, index: int, type: str, **fields: Any) -> None:
        """An event of an item."""
        self._pieces.append(self._writer.item_event(index, type, **fields))

    def done(self, index: int, item: Item) -> None:
        """The end of an item."""
        self._pieces.append(self._writer.finish_item(index, item))

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


class Calls:
    """Of one turn of a run."""

    def __init__(
        self,
        tools: Mapping[str, HostedTool],
        writer: EventWriter,
        tell: Callable[[bytes], Awaitable[None]],
        journal: Journal,
        run: Claimed | None,
        context: RequestContext,
    ) -> None:
        """Without a `run` nothing is written down."""
        self._tools = tools
        self._writer = writer
        self._tell = tell
        self._journal = journal
        self._run = run
        self._context = context
        self._known: dict[str, bytes | None] = {}

    async def make(self, pending: list[Pending], finished: set[int], parallel: bool) -> dict[str, Outcome]:
        """Make every call whose item is not `finished`; how each went, by its key."""
        if self._run is not None:
            self._known = await self._journal.calls(self._run)
        outcomes: dict[str, Outcome] = {}
        turn = asyncio.Semaphore(AT_ONCE if parallel else 1)

        async def one(call: Pending) -> None:
            async with turn:
                outcomes[call.key] = await self._one(call, call.index in finished)

        try:
            async with asyncio.TaskGroup() as group:
                for call in pending:
                    group.create_task(one(call), name=f"call-{call.key}")
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return outcomes

    async def _one(self, call: Pending, finished: bool) -> Outcome:
        tool = self._tools.get(call.name)
        if tool is None:
            return await self._gone(call, finished)
        outcome = self._before(call, tool)
        if outcome is None:
            if self._run is not None and call.key not in self._known:
                await self._written(self._journal.begin_call, self._run, call.key)
            span = spans.of_call(self._context.traceparent, call.name, call.id)
            outcome = await tool.run(call.call)
            span.end(None if outcome.ok else ToolFailed(), "tool_error")
            if self._run is not None:
                await self._written(self._journal.end_call, self._run, call.key, orjson.dumps(asdict(outcome)))
        if not finished:
            emit = Emitting(self._writer)
            tool.finish(emit, call.index, call.call, outcome)
            await self._tell(emit.take())
        return outcome

    async def _written(self, write: Callable[..., Awaitable[None]], *what: Any) -> None:
        """Wait for PostgreSQL as long as there is time: the call is not made twice for want of a line."""
        for pause in pauses(0.1, 2.0):
            try:
                await write(*what)
            except DependencyDown as error:
                if self._context.remaining < pause:
                    raise
                log.info("a call waits: %s", error.message)
            else:
                return
            await asyncio.sleep(pause)

    async def _gone(self, call: Pending, finished: bool) -> Outcome:
        """Of a tool that its server has no more."""
        outcome = Outcome(f"There is no tool {call.name!r} any more.", ok=False)
        if not finished:
            item = self._writer.response.output[call.index]
            emit = Emitting(self._writer)
            if item["type"] == "mcp_call":
                item = {**item, "error": outcome.text}
                emit.event(call.index, "response.mcp_call.failed")
            emit.done(call.index, {**item, "status": "failed"})
            await self._tell(emit.take())
        return outcome

    def _before(self, call: Pending, tool: HostedTool) -> Outcome | None:
        """How it went, if it need not or must not be made."""
        if call.skip:
            return Outcome(call.skip, ok=False)
        known = self._known.get(call.key)
        if known is not None:
            return Outcome(**orjson.loads(known))
        if call.key in self._known and not tool.idempotent:
            return Outcome(_INTERRUPTED, ok=False)
        return None
