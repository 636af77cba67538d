"""Who asks for a model right after a start is not told that there are no models."""

from __future__ import annotations

import asyncio
import time

import pytest
from caravan_bus import registry_view as module
from caravan_bus.memory import MemoryHub, MemoryTransport
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_contracts.errors import ModelNotFound
from caravan_contracts.registry import Resource, ResourceKind


def provider(status: str, revision: int = 1, created: int | None = None) -> Resource:
    body = {"provider_type": "remote::openai", "status": status}
    when = int(time.time()) if created is None else created
    return Resource(
        tenant="default", kind=ResourceKind.PROVIDER, id="p", revision=revision, source="api", created=when, body=body
    )


def model(name: str) -> Resource:
    body = {"provider_id": "p", "provider_resource_id": name}
    return Resource(tenant="default", kind=ResourceKind.MODEL, id=name, revision=2, source="api", created=1, body=body)


@pytest.fixture
def view() -> RegistryView:
    transport = MemoryTransport(MemoryHub())
    made = RegistryView(transport, Requester(transport, "gateway", "g1"))
    made._loaded.set()
    return made


def told(view: RegistryView, revision: int, *resources: Resource) -> None:
    view.catalog.apply(resources)
    view._moved_to(revision)


async def test_a_model_that_is_found_meanwhile_is_the_answer(view: RegistryView) -> None:
    told(view, 1, provider("unknown"))
    asking = asyncio.create_task(view.resolve("m", "default", 5.0))
    await asyncio.sleep(0)
    assert not asking.done()
    told(view, 2, provider("ok", 2), model("m"))
    assert (await asyncio.wait_for(asking, 30)).resource_id == "m"


async def test_it_is_unknown_as_soon_as_every_provider_was_heard_of(view: RegistryView) -> None:
    told(view, 1, provider("unknown"))
    asking = asyncio.create_task(view.resolve("m", "default", 60.0))
    await asyncio.sleep(0)
    told(view, 2, provider("error", 2))
    with pytest.raises(ModelNotFound):
        await asyncio.wait_for(asking, 30)


async def test_patience_ends(view: RegistryView) -> None:
    told(view, 1, provider("unknown"))
    with pytest.raises(ModelNotFound):
        await view.resolve("m", "default", 0.05)


async def test_nobody_waits_long_after_the_start(view: RegistryView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLING_SECONDS", 0.0)
    told(view, 1, provider("unknown", created=1))
    with pytest.raises(ModelNotFound):
        await asyncio.wait_for(view.resolve("m", "default", 60.0), 30)
