"""What a reader knows of the registry, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from caravan_bus import registry_view as module
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.transport import Message, Transport
from caravan_contracts import subjects as s
from caravan_contracts.registry import (
    ChangeFact,
    Resource,
    ResourceKind,
    RevisionBeat,
    SnapshotPage,
    SnapshotRequest,
)

from tests.bus.lines import Line

Row = tuple[int, list[str]]


def model(name: str) -> Resource:
    body = {"provider_id": "p", "provider_resource_id": name}
    return Resource(tenant="default", kind=ResourceKind.MODEL, id=name, revision=1, source="api", created=1, body=body)


class Registry:
    """What a registry says; `pages` rows to a page."""

    def __init__(self, transport: Transport, row: Row, pages: int = 100) -> None:
        self.transport = transport
        self.row = row
        self.pages = pages
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self.transport.subscribe(s.request("registry", "snapshot"), self._on_request, "registry")
        await self.transport.flush()

    def _on_request(self, message: Message) -> None:
        self.asked.set()
        task = asyncio.create_task(self._answer(message, self.row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Message, row: Row) -> None:
        await self.answering.wait()
        request = SnapshotRequest.model_validate_json(message.data)
        revision, names = row
        if request.after and request.revision != revision:
            page = SnapshotPage(revision=revision, resources=[], restart=True)
        else:
            start = names.index(request.after) + 1 if request.after else 0
            part = names[start : start + self.pages]
            more = part[-1] if start + self.pages < len(names) else ""
            page = SnapshotPage(revision=revision, resources=[model(name) for name in part], next=more)
        self.transport.publish(message.reply, page.model_dump_json().encode())

    def beat(self, revision: int | None = None) -> None:
        said = RevisionBeat(revision=self.row[0] if revision is None else revision)
        self.transport.publish(s.REGISTRY_REVISION, said.model_dump_json().encode())

    def change(self, revision: int, previous: int, name: str) -> None:
        fact = ChangeFact(revision=revision, previous=previous, changed=[model(name)])
        self.transport.publish(s.REGISTRY_CHANGED, fact.model_dump_json().encode())


@pytest.fixture
async def view(line: Line) -> AsyncIterator[RegistryView]:
    transport = await line.connect()
    requester = Requester(transport, "gateway", "g1")
    await requester.start()
    made = RegistryView(transport, requester)
    yield made
    await made.close()
    await requester.close()


def names(view: RegistryView) -> list[str]:
    return [resource.id for resource in view.catalog.models()]


async def until(view: RegistryView, revision: int) -> None:
    async with asyncio.timeout(30):
        while view.revision != revision:
            await asyncio.sleep(0.01)


async def test_a_fact_that_comes_while_a_snapshot_is_fetched_is_not_lost(line: Line, view: RegistryView) -> None:
    registry = Registry(await line.connect(), (1, ["a"]))
    await registry.start()
    await view.start()
    await until(view, 1)
    registry.asked.clear()
    registry.answering.clear()
    registry.beat(5)  # of a registry that knows more: the snapshot is fetched again
    await asyncio.wait_for(registry.asked.wait(), 30)
    moves: list[int] = []
    view.on_change.append(lambda: moves.append(view.revision))
    registry.change(2, 1, "b")
    await until(view, 2)
    registry.answering.set()  # with what was so when it was asked
    registry.beat(2)
    await registry.transport.flush()
    async with asyncio.timeout(30):
        while view._stale.is_set() or registry._tasks:
            await asyncio.sleep(0.01)
    await view._transport.flush()
    assert names(view) == ["a", "b"]
    assert moves == [2]


async def test_one_registry_that_is_behind_does_not_set_anybody_back(line: Line, view: RegistryView) -> None:
    ahead = Registry(await line.connect(), (10, ["a", "b"]))
    behind = Registry(await line.connect(), (9, ["a"]))
    await ahead.start()
    await view.start()
    await until(view, 10)
    await behind.start()
    moves: list[int] = []
    view.on_change.append(lambda: moves.append(view.revision))
    for _ in range(30):
        behind.beat()
        ahead.beat()
        await asyncio.sleep(0.005)
    assert moves == []
    assert names(view) == ["a", "b"]


async def test_an_older_revision_is_believed_when_nobody_knows_ours(
    line: Line, view: RegistryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was restored from a backup."""
    monkeypatch.setattr(module, "BACK_SECONDS", 0.2)
    registry = Registry(await line.connect(), (10, ["a", "b"]))
    await registry.start()
    await view.start()
    await until(view, 10)
    registry.row = (3, ["c"])
    async with asyncio.timeout(30):
        while view.revision != 3:
            registry.beat()
            await asyncio.sleep(0.02)
    assert names(view) == ["c"]


async def test_pages_come_from_registries_of_one_revision(line: Line, view: RegistryView) -> None:
    many = [f"m{n:02d}" for n in range(12)]
    registries = [Registry(await line.connect(), row, pages=2) for row in ((10, many), (9, many[:11]))]
    for registry in registries:
        await registry.start()
    await view.start()
    async with asyncio.timeout(30):
        while view.revision != 10:
            registries[0].beat()
            await asyncio.sleep(0.05)
    assert names(view) == many
