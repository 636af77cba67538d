"""The pool of a worker: what one provider does wrong keeps no other from being served, and no change is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from caravan_bus.memory import MemoryHub, MemoryTransport
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.slots import Slots
from caravan_bus.transport import Message
from caravan_contracts import subjects as s
from caravan_contracts.inference import Summary
from caravan_contracts.registry import (
    ChangeFact,
    DiscoveredModel,
    ReportAccepted,
    ReportModels,
    Resource,
    ResourceKind,
    SnapshotPage,
    Source,
)
from caravan_inference.pool import ProviderPool
from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.discover import classes
from caravan_inference.settings import Settings


@dataclass
class Registry:
    """The registry's side of the bus."""

    transport: MemoryTransport
    rows: dict[str, Resource] = field(default_factory=dict)
    reports: list[ReportModels] = field(default_factory=list)
    revision: int = 0

    async def start(self) -> None:
        await self.transport.subscribe(s.request("registry", "snapshot"), self._snapshot)
        await self.transport.subscribe(s.request("registry", "report_models"), self._report)

    def put(self, id: str, kind: str, **body: Any) -> None:
        self.revision += 1
        row = Resource(
            tenant="default",
            kind=ResourceKind.PROVIDER,
            id=id,
            revision=self.revision,
            source=Source.API,
            created=1,
            body={"provider_type": kind, **body},
        )
        self.rows[id] = row
        fact = ChangeFact(revision=self.revision, previous=self.revision - 1, changed=[row])
        self.transport.publish(s.REGISTRY_CHANGED, fact.model_dump_json().encode())

    def status_of(self, id: str) -> str:
        return next((report.status for report in reversed(self.reports) if report.provider_id == id), "")

    def _snapshot(self, message: Message) -> None:
        page = SnapshotPage(revision=self.revision, resources=list(self.rows.values()))
        self.transport.publish(message.reply, page.model_dump_json().encode())

    def _report(self, message: Message) -> None:
        self.reports.append(ReportModels.model_validate_json(message.data))
        self.transport.publish(message.reply, ReportAccepted(revision=self.revision).model_dump_json().encode())


class Scripted:
    """A provider that does what its configuration says."""

    types: ClassVar[tuple[str, ...]] = ("remote::scripted",)
    closing: ClassVar[asyncio.Event]
    may_close: ClassVar[asyncio.Event]

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options

    async def start(self) -> None:
        if self.options.config.get("start") == "breaks":
            raise ValueError("a defect")

    async def close(self) -> None:
        self.closing.set()
        await self.may_close.wait()
        if self.options.config.get("close") == "breaks":
            raise ValueError("a defect")

    async def models(self) -> list[DiscoveredModel]:
        if self.options.config.get("models") == "breaks":
            raise KeyError("data")
        return [DiscoveredModel(id=f"model-{n:06}") for n in range(self.options.config.get("count", 1))]

    async def run(self, call: Call, output: Output) -> Result:
        return Result(Summary())


@dataclass
class Bench:
    registry: Registry
    pool: ProviderPool

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setitem(classes(), "remote::scripted", Scripted)
    monkeypatch.setattr(Scripted, "closing", asyncio.Event(), raising=False)
    monkeypatch.setattr(Scripted, "may_close", asyncio.Event(), raising=False)
    Scripted.may_close.set()
    hub = MemoryHub()
    registry = Registry(hub.connect())
    await registry.start()
    transport = hub.connect()
    requester = Requester(transport, "inference", "inf-1")
    view = RegistryView(transport, requester)
    pool = ProviderPool(Settings(), "inf-1", view, requester, Slots())
    await requester.start()
    await view.start()
    await view.wait_loaded(2)
    await pool.start()
    yield Bench(registry, pool)
    Scripted.may_close.set()
    await pool.close()
    await view.close()
    await requester.close()


@pytest.mark.parametrize("where", ["start", "models"])
async def test_a_defect_in_one_provider_is_its_status_and_nobody_elses(bench: Bench, where: str) -> None:
    bench.registry.put("bad", "remote::scripted", config={where: "breaks"})
    bench.registry.put("good", "remote::scripted")
    await bench.until(lambda: bench.registry.status_of("bad") == "error" and bench.registry.status_of("good") == "ok")
    await bench.until(lambda: bench.pool.not_ready() == "")
    assert "a defect" not in bench.registry.reports[0].message


async def test_an_address_that_is_none_keeps_no_worker_from_being_ready(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_URL", "http://host:99999/v1")
    bench.registry.put("bad", "remote::vllm", config={"base_url": "${env.SOME_URL}"})
    await bench.until(lambda: bench.registry.status_of("bad") == "error")
    await bench.until(lambda: bench.pool.not_ready() == "")


async def test_a_body_of_another_version_is_passed_over(bench: Bench) -> None:
    bench.registry.put("odd", "remote::scripted", slots="many")
    bench.registry.put("good", "remote::scripted")
    await bench.until(lambda: bench.pool.running("good") is not None)
    assert bench.pool.running("odd") is None


async def test_a_change_while_another_is_applied_is_not_forgotten(bench: Bench) -> None:
    bench.registry.put("slow", "remote::scripted", config={"close": "breaks"})
    await bench.until(lambda: bench.pool.running("slow") is not None)
    Scripted.may_close.clear()
    bench.registry.put("slow", "remote::scripted", config={"other": 1})
    async with asyncio.timeout(30):
        await Scripted.closing.wait()
    bench.registry.put("late", "remote::scripted")
    await bench.until(lambda: any(r.id == "late" for r in bench.pool._view.catalog.all_providers()))
    Scripted.may_close.set()
    await bench.until(lambda: bench.pool.running("late") is not None and bench.pool.running("slow") is not None)


async def test_more_models_than_a_message_takes_are_cut(bench: Bench) -> None:
    bench.registry.put("huge", "remote::scripted", config={"count": 40_000})
    await bench.until(lambda: bench.registry.status_of("huge") == "ok")
    taken = bench.registry.reports[-1].models
    assert 1000 < len(taken) < 40_000
    assert taken[0].id == "model-000000"
