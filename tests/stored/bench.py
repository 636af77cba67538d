"""One agents service in the process of the test, and the gateway's side of it."""

from __future__ import annotations

import asyncio
from typing import Any

from caravan_agents.app import serve
from caravan_agents.settings import Settings
from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.requests import Requester
from caravan_bus.work.api import JetStream
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_bus.work.outbox import Outbox
from caravan_contracts import completions as c
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.work import COMPLETIONS

from tests.infrastructure.protocol import Servers
from tests.work_queue.places import eventually

ACME = Principal("acme", "ada")


class Bench:
    def __init__(self, servers: Servers, **settings: Any) -> None:
        self.servers = servers
        self.settings = settings
        self.stop = asyncio.Event()
        self.transports: list[NatsTransport] = []

    async def start(self) -> None:
        seed = self.servers.seed_file("agents").read_text().strip()
        where = {"nats_url": self.servers.nats_url, "nats_nkey_seed": seed, "database_url": self.servers.database_url}
        settings = Settings(**where, **self.settings)
        self.task = asyncio.create_task(serve(settings, self.stop))
        gateway = await self.connect("gateway")
        self.requester = Requester(gateway, "gateway", "gw-test")
        await self.requester.start()
        api = JetStream(gateway, "gateway", "gw-test")
        await api.start()
        self.outbox = Outbox(JetStreamQueue(api, COMPLETIONS))
        await eventually(lambda: self.ask("list_completions", c.ListCompletions(), c.CompletionPage))

    async def connect(self, user: str) -> NatsTransport:
        seed = self.servers.seed_file(user).read_text().strip()
        made = await connect(NatsOptions(self.servers.nats_url, user, seed, "test"), patience=10)
        self.transports.append(made)
        return made

    async def ask(self, verb: str, message: Any, reply: type[Any], principal: Principal = ACME) -> Any:
        return await self.requester.ask("agents", verb, message, reply, RequestContext("req_t", principal), 8.0)

    async def get(self, id: str, principal: Principal = ACME) -> dict[str, Any]:
        row: c.CompletionRow = await self.ask("get_completion", c.GetCompletion(id=id), c.CompletionRow, principal)
        assert row.object is not None
        return {**row.object, **row.head}

    async def close(self) -> None:
        await self.outbox.close(1.0)
        self.stop.set()
        await asyncio.wait_for(self.task, 30)
        for transport in self.transports:
            await transport.close()
