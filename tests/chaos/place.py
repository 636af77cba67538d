"""A mesh put together by hand, for what ``caravan up`` does not do: several NATS servers, workers elsewhere.

PostgreSQL, Valkey, keys and seed files are those of the embedded runtime. Its NATS server is not used.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from caravan_contracts.permissions import SERVICES

from caravan.runtime import Infrastructure, binaries, bus_users, nats, secrets
from caravan.runtime.nats_config import NatsOptions, render
from caravan.runtime.paths import write_private
from caravan.runtime.process import ChildSpec, plain_environment
from caravan.runtime.service import Service
from caravan.runtime.supervised import Supervised

STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", allow_unlisted: true}}
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One NATS server of a cluster (of one, when it has no routes)."""

    name: str
    port: int
    folder: Path
    config: str
    flags: tuple[str, ...]
    """What a member of a cluster is told beside its configuration, which is the same for all; docs/operations.md."""
    seed: str = field(repr=False)
    start_seconds: float = 20.0

    async def spec(self) -> ChildSpec:
        path = self.folder / f"{self.name}.conf"
        write_private(path, self.config)
        environment = {**plain_environment(), "GOMAXPROCS": "1"}
        command = (str(binaries.nats_server()), "-c", str(path), *self.flags)
        return ChildSpec(self.name, command, self.folder / f"{self.name}.log", environment)

    async def ping(self) -> None:
        await nats.ping(self.port, self.seed)


@dataclass(frozen=True, slots=True)
class Away:
    """A service that is started behind a command, ``ip netns exec NAME``. It is ready when it says so on the bus."""

    inner: Service
    before: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def start_seconds(self) -> float:
        return self.inner.start_seconds

    async def spec(self) -> ChildSpec:
        spec = await self.inner.spec()
        command = (*self.before, *spec.command)
        return ChildSpec(spec.name, command, spec.log, spec.environment, stop_seconds=spec.stop_seconds)

    async def ping(self) -> None:
        return None


class Place:
    """Enter it, then start NATS, then services."""

    def __init__(self, folder: Path, upstream_url: str, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.infra = Infrastructure(folder / "data")
        self.host = host
        """Where NATS listens."""
        self.upstream_url = upstream_url
        self.nodes: dict[str, Supervised] = {}
        self.services: list[Supervised] = []
        self.gateway_port = 0
        self._urls: list[str] = []

    async def __aenter__(self) -> Self:
        await self.infra.__aenter__()
        (self.folder / "caravan.yaml").write_text(STACK.format(url=self.upstream_url))
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.gather(*(child.stop() for child in reversed(self.services)))
            await asyncio.gather(*(child.stop() for child in self.nodes.values()))
        finally:
            await self.infra.__aexit__(None, None, None)

    @property
    def nats_urls(self) -> str:
        """As in NATS_URL."""
        return ",".join(self._urls)

    async def start_nats(self, count: int) -> None:
        """So many servers, which know each other."""
        data = self.infra.data
        kept = secrets.load(data, SERVICES)
        users = bus_users.everybody(data.bus, kept.public_keys())
        names = [f"node-{number}" for number in range(1, count + 1)]
        routes = {name: self.infra.ports.take(f"{name}-routes") for name in names}
        for name in names:
            port, monitor = self.infra.ports.take(name), self.infra.ports.take(f"{name}-monitor")
            options = NatsOptions(f"{self.host}:{port}", f"127.0.0.1:{monitor}", str(self.folder / name / "jetstream"))
            flags = cluster(routes, name) if count > 1 else ()
            (self.folder / name).mkdir()
            node = Node(name, port, self.folder / name, render(options, users), flags, kept.seeds["operator"])
            self.nodes[name] = self.infra.supervise(node)
            self._urls.append(f"nats://127.0.0.1:{port}")
        await asyncio.gather(*(node.start() for node in self.nodes.values()))

    async def start(self, service: str, number: int = 1, **more: str) -> Supervised:
        """One process of a service, ready."""
        child = self.infra.supervise(self.part(service, number, more))
        self.services.append(child)
        await child.start()
        return child

    async def start_away(self, service: str, number: int, before: tuple[str, ...], **more: str) -> Supervised:
        """The same behind a command; it runs when this returns, and may not be ready."""
        child = self.infra.supervise(Away(self.part(service, number, more), before))
        self.services.append(child)
        await child.start()
        return child

    def part(self, service: str, number: int, more: Mapping[str, str]) -> Service:
        name = f"{service}-{number}"
        ops = self.infra.ports.take(f"ops-{name}")
        self.gateway_port = self.gateway_port or self.infra.ports.take("gateway")
        environment = {
            **plain_environment(),
            "NATS_URL": self.nats_urls,
            "NATS_NKEY_SEED_FILE": str(self.infra.seed_file(service)),
            "DATABASE_URL_FILE": str(self.infra.database_url_file),
            "REDIS_URL_FILE": str(self.infra.redis_url_file),
            "CARAVAN_REGISTRY_STACK": str(self.folder / "caravan.yaml"),
            "CARAVAN_GATEWAY_PORT": str(self.gateway_port),
            "CARAVAN_OPS_PORT": str(ops),
            "CARAVAN_INSTANCE": name,
            "CARAVAN_INFERENCE_EXCLUDE": "inline::llama-cpp,inline::onnx-embeddings",
            **more,
        }
        log = self.folder / f"{name}.log"
        return Service(name, f"caravan_{service}", environment, log, ops, drain_seconds=5.0)


def cluster(routes: Mapping[str, int], name: str) -> tuple[str, ...]:
    """How a server is told that it is one of several."""
    others = ",".join(f"nats://127.0.0.1:{port}" for node, port in routes.items() if node != name)
    own = f"nats://127.0.0.1:{routes[name]}"
    return ("-n", name, "--cluster_name", "caravan", "--cluster", own, "--routes", others)


def read_metric(url: str, name: str, label: str = "") -> float:
    """The sum of a metric over its labels, or over those rows that have `label`; 0 when nothing is said of it."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    rows = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in rows)


async def eventually(true: Callable[[], Any], seconds: float = 15.0) -> None:
    """Until a fact of another process holds. It is asked in a thread: it may block."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if await asyncio.to_thread(true):
                return
        except OSError:
            if asyncio.get_running_loop().time() > end:
                raise
        assert asyncio.get_running_loop().time() < end, f"not true after {seconds} s"
        await asyncio.sleep(0.05)
