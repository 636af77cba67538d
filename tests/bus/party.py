"""Workers and callers on one line, for whatever is tested on streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.router import Outbound, Router, RoutingOptions
from caravan_bus.slots import Slots
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound, StreamServer
from caravan_bus.transport import Transport
from caravan_contracts.context import RequestContext
from caravan_contracts.inference import CallSpec

from tests.bus.lines import Line

Serve = Callable[[Inbound, StreamSender], Awaitable[None]]


@dataclass
class Caller:
    router: Router
    inbox: StreamInbox
    table: PresenceTable
    tokens: Transport
    control: Transport


class Party:
    """Workers and callers on one line, closed together."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.closers: list[Callable[[], Awaitable[None]]] = []

    async def worker(self, name: str, serve: Serve, slots: int = 4) -> tuple[Transport, StreamServer]:
        transport = await self.line.connect()
        held = Slots()
        server = StreamServer(transport, "inference", name, held, serve)
        beacon = PresenceBeacon(transport, "inference", name, held)
        await server.start()
        held.offer("p", slots)
        await beacon.start()
        self.closers += [lambda: server.drain(0.1), beacon.leave]
        return transport, server

    async def caller(self, options: RoutingOptions | None = None) -> Caller:
        tokens, control = await self.line.connect(), await self.line.connect()
        inbox = StreamInbox(tokens, control, "gateway", f"gw{len(self.closers)}")
        table = PresenceTable(control, "inference", f"_INBOX.gateway.gw{len(self.closers)}-probe")
        await inbox.start()
        await table.start()
        self.closers += [table.close, inbox.close]
        made = Caller(Router(control, inbox, table, options), inbox, table, tokens, control)
        return made

    async def until_seen(self, caller: Caller, workers: int) -> None:
        async with asyncio.timeout(30):
            while len(caller.table.workers("p")) < workers:
                await asyncio.sleep(0.01)


def request(timeout: float = 30.0, body: bytes = b"{}") -> Outbound:
    context = RequestContext("req_1", deadline=time.monotonic() + timeout)
    return Outbound("inference", "chat", CallSpec("p", "m", "m", True), body, context)
