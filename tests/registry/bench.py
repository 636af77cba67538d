"""A gateway's and a worker's view of registries that run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import NotFound
from caravan_contracts.registry import (
    Changed,
    ChangeFact,
    DeleteResource,
    PutResource,
    ReportAccepted,
    ReportModels,
    Resource,
    ResourceKind,
    SnapshotPage,
    SnapshotRequest,
)
from caravan_contracts.users import GATEWAY, INFERENCE
from caravan_registry.app import serve
from caravan_registry.settings import Settings

from tests.infrastructure.protocol import Servers

ADMIN = Principal(subject="ada", roles=("admin",))


class Registry:
    """One replica."""

    def __init__(self, settings: Settings) -> None:
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(serve(settings, self._stop))

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self.task, 30)


class Bench:
    def __init__(self, servers: Servers, database_url: str, folder: Path) -> None:
        self.servers = servers
        self.database_url = database_url
        self.folder = folder
        self.registries: list[Registry] = []
        self.facts: list[ChangeFact] = []
        self._transports: list[NatsTransport] = []
        self._views: list[RegistryView] = []

    async def start(self) -> None:
        self.bus = await self.connect(GATEWAY)
        self.gateway = Requester(self.bus, GATEWAY, "gw-test")
        await self.gateway.start()
        self.worker = Requester(await self.connect(INFERENCE), INFERENCE, "inf-test")
        await self.worker.start()
        await self.bus.subscribe(
            s.REGISTRY_CHANGED, lambda m: self.facts.append(ChangeFact.model_validate_json(m.data))
        )
        await self.bus.flush()

    async def connect(self, user: str) -> NatsTransport:
        seed = self.servers.seed_file(user).read_text().strip()
        transport = await connect(NatsOptions(self.servers.nats_url, user, seed, "test"), patience=10)
        self._transports.append(transport)
        return transport

    def settings(self, stack: str = "providers: []", **more: Any) -> Settings:
        path = self.folder / "caravan.yaml"
        path.write_text(stack)
        values = {
            "nats_url": self.servers.nats_url,
            "nats_nkey_seed": self.servers.seed_file("registry").read_text().strip(),
            "database_url": self.database_url,
            "redis_url": self.servers.redis_url,
            "stack": str(path),
            "log_level": "warning",
            "drain_seconds": 5,
        }
        return Settings(**(values | more))

    async def registry(self, stack: str = "providers: []", *, wait: bool = True, **more: Any) -> Registry:
        """Start a replica, and wait until it answers."""
        running = Registry(self.settings(stack, **more))
        self.registries.append(running)
        if wait:
            await self.eventually(self.answers)
        return running

    async def seeded(self, stack: str = "providers: []") -> Registry:
        """The same, and wait until what the stack says is there: before that it answers from what Redis has, if
        PostgreSQL lets it wait."""
        running = await self.registry(stack)
        await self.eventually(self._writable)
        return running

    async def _writable(self) -> bool:
        try:
            await self.delete(ResourceKind.PROVIDER, "nobody")
        except NotFound:
            return True
        return False

    async def answers(self) -> bool:
        await self.snapshot()
        return True

    async def eventually(self, check: Callable[[], Any], seconds: float = 30.0) -> Any:
        """What `check` (sync or async) returns once it is true; its errors count as "not yet"."""
        last: Exception | None = None
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            for registry in self.registries:
                if registry.task.done():
                    registry.task.result()
            try:
                found = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
            except Exception as error:  # noqa: BLE001 - it is told if it stays
                last = error
            await asyncio.wait({asyncio.create_task(asyncio.sleep(0.02))})
        raise AssertionError(f"not within {seconds} s; last error: {last!r}")

    async def view(self) -> RegistryView:
        view = RegistryView(self.bus, self.gateway)
        await view.start()
        self._views.append(view)
        assert await view.wait_loaded(10)
        return view

    async def close(self) -> None:
        for view in self._views:
            await view.close()
        for registry in self.registries:
            if not registry.task.done():
                await registry.stop()
        for transport in self._transports:
            await transport.close()

    # --- the verbs ----------------------------------------------------------------------------------

    def context(self, principal: Principal = ADMIN) -> RequestContext:
        return RequestContext("test", principal)

    async def ask(self, verb: str, message: Any, reply: Any, principal: Principal = ADMIN, timeout: float = 10) -> Any:
        requester = self.worker if verb == "report_models" else self.gateway
        return await requester.ask("registry", verb, message, reply, self.context(principal), timeout)

    async def put_provider(
        self, name: str = "p", principal: Principal = ADMIN, type: str = "remote::openai", **config: Any
    ) -> Changed:
        body = {"provider_type": type, "config": config}
        return await self.put(ResourceKind.PROVIDER, name, body, principal)

    async def put_model(self, name: str, provider: str = "p", principal: Principal = ADMIN, **more: Any) -> Changed:
        body = {"provider_id": provider, "provider_resource_id": name.rpartition("/")[2], **more}
        return await self.put(ResourceKind.MODEL, name, body, principal)

    async def put(
        self,
        kind: ResourceKind,
        name: str,
        body: dict[str, Any],
        principal: Principal = ADMIN,
        if_revision: int | None = None,
    ) -> Changed:
        message = PutResource(kind=kind, id=name, body=body, if_revision=if_revision)
        changed: Changed = await self.ask("put", message, Changed, principal)
        return changed

    async def delete(self, kind: ResourceKind, name: str, principal: Principal = ADMIN) -> Changed:
        changed: Changed = await self.ask("delete", DeleteResource(kind=kind, id=name), Changed, principal)
        return changed

    async def report(self, provider: str, *models: str, status: str = "ok", message: str = "") -> int:
        report = ReportModels.model_validate(
            {
                "provider_id": provider,
                "worker": "inf-test",
                "status": status,
                "message": message,
                "models": [{"id": model, "metadata": {"context_length": 10}} for model in models],
            }
        )
        accepted: ReportAccepted = await self.ask("report_models", report, ReportAccepted)
        return accepted.revision

    async def page(self, **request: Any) -> SnapshotPage:
        page: SnapshotPage = await self.ask("snapshot", SnapshotRequest(**request), SnapshotPage)
        return page

    async def snapshot(self) -> tuple[int, dict[str, Resource]]:
        while True:
            page = await self.page()
            rows = list(page.resources)
            while page.next and not page.restart:
                page = await self.page(after=page.next, revision=page.revision)
                rows += page.resources
            if not page.restart:
                return page.revision, {f"{row.tenant}/{row.kind}/{row.id}": row for row in rows}
