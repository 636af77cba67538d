"""The way to one server during a run: made at the first call, made anew when it broke."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, Final

from caravan_bus.outbound import Guard
from caravan_contracts.errors import CaravanError

from caravan_agents.tools.mcp.failures import ServerFailure, TimedOut
from caravan_agents.tools.mcp.listing import Listed
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.servers import Server

if TYPE_CHECKING:
    from caravan_agents.tools.mcp.wire import Wire

_NOT_ELSEWHERE: Final = frozenset({401, 403, 407, 429})
"""Refusals that another transport would not change."""


class Link:
    """Of one server in one run. Calls may be made at once."""

    def __init__(self, server: Server, guard: Guard, options: McpOptions) -> None:
        self._server = server
        self._guard = guard
        self._options = options
        self._opening = asyncio.Lock()
        self._wire: Wire | None = None
        self._calls: dict[Wire, int] = {}
        """How many are under way on each that is open."""
        self._leaving: set[asyncio.Task[None]] = set()
        """Connections that nobody uses any more; a call does not wait for them."""

    async def list(self) -> list[Listed]:
        """What it offers. Raises ServerFailure, and the guard's InvalidRequest."""
        try:
            async with asyncio.timeout(self._options.list_seconds):
                return await (await self._open()).list()
        except TimeoutError:
            raise TimedOut(self._options.list_seconds) from None

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call one of its tools. Raises ServerFailure, also for what the guard refuses."""
        try:
            async with asyncio.timeout(self._options.list_seconds):
                wire = await self._open()
        except TimeoutError:
            raise TimedOut(self._options.list_seconds) from None
        except CaravanError as error:
            raise ServerFailure(error.message, code=error.status) from error
        self._calls[wire] += 1
        stuck = False
        try:
            return await wire.call(name, arguments)
        except TimedOut:
            stuck = True
            raise
        finally:
            if wire in self._calls:
                self._calls[wire] -= 1
            if stuck and self._wire is wire:
                self._wire = None
            self._sweep()

    async def close(self) -> None:
        """Leave the server."""
        self._wire = None
        for wire in list(self._calls):
            self._leave(wire)
        await asyncio.gather(*self._leaving)

    async def _open(self) -> Wire:
        async with self._opening:
            if self._wire is None or not self._wire.alive:
                self._wire = await self._connect()
            return self._wire

    async def _connect(self) -> Wire:
        """Over streamable HTTP; over SSE, as servers spoke before, when the other is refused."""
        wire = await load()
        first = wire.Wire(self._server, self._guard, self._options, "streamable_http")
        try:
            return await self._opened(first)
        except ServerFailure as failure:
            if not 400 <= first.status < 500 or first.status in _NOT_ELSEWHERE:
                raise
            try:
                return await self._opened(wire.Wire(self._server, self._guard, self._options, "sse"))
            except ServerFailure as second:
                text = f"{failure.message}; over SSE: {second.message}"
                raise ServerFailure(text, second.kind, second.code) from second

    async def _opened(self, wire: Wire) -> Wire:
        self._calls[wire] = 0
        try:
            await wire.open()
        except BaseException:
            del self._calls[wire]
            await wire.close()
            raise
        return wire

    def _sweep(self) -> None:
        for wire in [one for one, calls in self._calls.items() if not calls and one is not self._wire]:
            self._leave(wire)

    def _leave(self, wire: Wire) -> None:
        del self._calls[wire]
        task = asyncio.create_task(wire.close(), name="mcp leaving")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def load() -> Any:
    """The module :mod:`wire`; the first time in a thread, since that takes a second."""
    return await asyncio.to_thread(importlib.import_module, "caravan_agents.tools.mcp.wire")
