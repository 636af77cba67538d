"""Scripted targets behind one route: workers that do what a test says, and a client that asks for the route."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from caravan_bus.catalog import Catalog
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.presence import PresenceBeacon
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import RoutingOptions
from caravan_bus.routing.state import RoutingState
from caravan_bus.slots import Slots
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound, StreamServer
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, UpstreamBroke
from caravan_contracts.inference import DONE_EVENT, Summary, Usage, Verb
from caravan_contracts.registry import Resource

from tests.bus.lines import Line
from tests.bus.party import Caller, Party
from tests.routing.sse import chat

Script = Callable[[Inbound, StreamSender], Awaitable[None]]
TOKENS = [f"word{i} " for i in range(12)]
ALL = "".join(TOKENS)


class Pail:
    """A client's socket."""

    def __init__(self) -> None:
        self.data = b""

    def take(self, data: bytes) -> bool:
        self.data += data
        return True

    async def room(self) -> None:
        raise AssertionError("there is room")


class House:
    """Two targets, `a/m` and `b/n`, on a worker each; `scripts` are taken in turn, the last one for ever."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.party = Party(line)
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.cancelled: list[str] = []
        self.states: list[RoutingState] = []

    async def target(self, provider: str, *scripts: Script, worker: str = "") -> None:
        asked = self.asked.setdefault(provider, [])

        async def serve(inbound: Inbound, sender: StreamSender) -> None:
            asked.append(orjson.loads(inbound.message.data))
            try:
                await scripts[min(len(asked), len(scripts)) - 1](inbound, sender)
            except asyncio.CancelledError:
                self.cancelled.append(provider)
                raise

        transport = await self.line.connect()
        held = Slots()
        server = StreamServer(transport, "inference", worker or f"w-{provider}", held, serve)
        beacon = PresenceBeacon(transport, "inference", worker or f"w-{provider}", held)
        await server.start()
        held.offer(provider, 4)
        await beacon.start()
        self.party.closers += [lambda: server.drain(0.1), beacon.leave]

    async def client(
        self, *, kinds: dict[str, str] | None = None, shared: bool = False, **route: Any
    ) -> InferenceClient:
        caller = await self.party.caller(RoutingOptions(no_worker_timeout=0.3))
        await self._until_seen(caller)
        view = RegistryView(caller.control, Requester(caller.control, "gateway", "g"))
        view.catalog = Catalog(_resources(list(self.asked), kinds or {}, route))
        view._loaded.set()
        state = RoutingState(caller.control, f"gw{len(self.states)}")
        self.states.append(state)
        if shared:
            await state.start()
            self.party.closers.append(state.close)
        return InferenceClient(view, caller.router, state=state)

    async def close(self) -> None:
        for close in reversed(self.party.closers):
            await close()

    async def _until_seen(self, caller: Caller) -> None:
        async with asyncio.timeout(30):
            while not all(caller.table.workers(provider) for provider in self.asked):
                await asyncio.sleep(0.01)


def _resources(providers: list[str], kinds: dict[str, str], route: dict[str, Any]) -> list[Resource]:
    def made(kind: str, id: str, body: dict[str, Any]) -> Resource:
        return Resource(tenant="default", kind=kind, id=id, revision=1, source="api", created=1, body=body)

    rows = []
    for name in providers:
        body = {"provider_id": name, "provider_resource_id": "m", "metadata": {}}
        rows.append(made("provider", name, {"provider_type": kinds.get(name, "remote::openai")}))
        rows.append(made("model", f"{name}/m", body))
    if "targets" not in route:
        route["targets"] = [{"model": f"{name}/m"} for name in providers]
    return [*rows, made("route", "r", route)]


async def ask(client: InferenceClient, model: str = "r", timeout: float = 20.0, **more: Any) -> Asked:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True, **more}
    context = RequestContext("req_1", deadline=time.monotonic() + timeout)
    return await client.ask(Verb.CHAT, orjson.dumps(body), context)


async def pumped(client: InferenceClient, **more: Any) -> tuple[bytes, Asked]:
    """What a client of the gateway gets of a stream."""
    asked, pail = await ask(client, **more), Pail()
    try:
        pail.take(await asked.stream.read())
        pail.take(await asked.stream.pump(pail))
    except CaravanError as error:
        error.so_far = pail.data  # type: ignore[attr-defined]
        raise
    finally:
        await client.finish(asked)
    return pail.data, asked


async def read(client: InferenceClient, **more: Any) -> tuple[bytes, Asked]:
    """The same, read piece by piece."""
    asked, data = await ask(client, **more), b""
    try:
        while piece := await asked.stream.read():
            data += piece
    except CaravanError as error:
        error.so_far = data  # type: ignore[attr-defined]
        raise
    finally:
        await client.finish(asked)
    return data, asked


def answers(tokens: list[str] = TOKENS, id: str = "chatcmpl-1", pause: float = 0.0) -> Script:
    """A whole answer. Usage is in the stream when it was asked for, and always in the summary."""

    async def script(inbound: Inbound, sender: StreamSender) -> None:
        spec = inbound.spec
        usage = (3, len(tokens)) if spec.include_usage else None
        events = chat(tokens, id, spec.shown_model, hash(id) % 1000, usage=usage)
        if not spec.stream:
            sender.end(Summary(id, "m", "stop", Usage(3, len(tokens))), orjson.dumps({"said": "".join(tokens)}))
            return
        for event in events:
            sender.write(event)
            await asyncio.sleep(pause)
        sender.end(Summary(id, "m", "stop", Usage(3, len(tokens))), DONE_EVENT)

    return script


def goes_on(id: str = "chatcmpl-2") -> Script:
    """A target that takes the last message for the beginning of its answer."""

    async def script(inbound: Inbound, sender: StreamSender) -> None:
        last = orjson.loads(inbound.message.data)["messages"][-1]
        said = last["content"] if last["role"] == "assistant" else ""
        await answers([ALL[len(said) :]], id)(inbound, sender)

    return script


def breaks(after: int, error: CaravanError | None = None, tokens: list[str] = TOKENS, id: str = "chatcmpl-1") -> Script:
    """Some tokens, then the connection is gone; `error` None = silence."""

    async def script(inbound: Inbound, sender: StreamSender) -> None:
        for event in chat(tokens[:after], id, inbound.spec.shown_model, hash(id) % 1000, finish=None):
            sender.write(event)
            await asyncio.sleep(0)
        if error is None:
            await asyncio.Event().wait()
        raise error or UpstreamBroke("cut")

    return script


def fails(error: CaravanError) -> Script:
    """Before its first byte."""

    async def script(inbound: Inbound, sender: StreamSender) -> None:
        raise error

    return script


def silent() -> Script:
    async def script(inbound: Inbound, sender: StreamSender) -> None:
        await asyncio.Event().wait()

    return script
