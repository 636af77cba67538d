"""A big body does not stay where it was parked, however its request ends."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from caravan_bus.catalog import Catalog
from caravan_bus.inference import InferenceClient
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import RoutingOptions
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import NoWorker
from caravan_contracts.inference import Summary, Verb
from caravan_contracts.registry import Resource, ResourceKind
from caravan_storage.blobs import ClaimDesk, MemoryBlobs

from tests.bus.party import Party

BODY = orjson.dumps({"model": "p/m", "messages": [{"role": "user", "content": "x" * 400_000}]})


def catalog() -> Catalog:
    body = {"provider_type": "remote::vllm", "config": {"allow_unlisted": True}}
    provider = Resource(
        tenant="default", kind=ResourceKind.PROVIDER, id="p", revision=1, source="api", created=1, body=body
    )
    return Catalog([provider])


async def client(party: Party, blobs: MemoryBlobs, options: RoutingOptions) -> InferenceClient:
    caller = await party.caller(options)
    view = RegistryView(caller.control, Requester(caller.control, "gateway", "g"))
    view.catalog = catalog()
    view._loaded.set()
    return InferenceClient(view, caller.router, ClaimDesk(blobs))


async def test_nobody_takes_the_request(party: Party) -> None:
    blobs = MemoryBlobs()
    asking = await client(party, blobs, RoutingOptions(no_worker_timeout=0.05))
    with pytest.raises(NoWorker):
        await asking.ask(Verb.CHAT, BODY, RequestContext("r"))
    assert not blobs._kept


async def test_the_client_goes_away_while_it_waits(party: Party) -> None:
    blobs = MemoryBlobs()
    asking = await client(party, blobs, RoutingOptions(no_worker_timeout=30))
    waiting = asyncio.create_task(asking.ask(Verb.CHAT, BODY, RequestContext("r")))
    async with asyncio.timeout(30):
        while not blobs._kept:
            await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not blobs._kept


async def test_the_request_was_served(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.end(Summary(), b"{}")

    blobs = MemoryBlobs()
    await party.worker("w1", serve)
    asking = await client(party, blobs, RoutingOptions())
    asked = await asking.ask(Verb.CHAT, BODY, RequestContext("r"))
    assert await asked.stream.read_all(100) == b"{}"
    assert len(blobs._kept) == 1
    await asking.finish(asked)
    assert not blobs._kept
