"""The whole mesh on one machine: the servers, and every installed service beside them."""

from __future__ import annotations

import math
import os
import signal
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Self

from caravan_contracts.users import AGENTS, GATEWAY
from caravan_contracts.users import SERVICES as KNOWN

from caravan.errors import AlreadyRunning, PortTaken, StartError
from caravan.runtime import bus_users, services, state
from caravan.runtime.infrastructure import Infrastructure
from caravan.runtime.options import LOCAL_PROVIDERS, MeshOptions
from caravan.runtime.paths import DataDir
from caravan.runtime.ports import claim, is_free
from caravan.runtime.service import Service
from caravan.runtime.supervised import Supervised, together

_DRAIN = "CARAVAN_DRAIN_SECONDS"


class Mesh:
    """An async context manager like :class:`Infrastructure`; inside it the gateway answers on :attr:`url`."""

    def __init__(self, options: MeshOptions, *, listener: Callable[[Supervised], None] | None = None) -> None:
        """Raises :class:`StartError` for a variable of the environment that can't be read."""
        self.options = options
        self.data = DataDir.at(options.data_dir)
        self.infrastructure = Infrastructure(self.data.root, listener=listener, alone=False)
        self.port = options.port
        self.services: list[Supervised] = []
        self._drain_seconds = _drain_seconds()
        self._claimed: socket.socket | None = None

    @property
    def host(self) -> str:
        """An address at which this machine reaches the gateway."""
        return reachable(self.options.host)

    @property
    def url(self) -> str:
        """Of the gateway, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        if current := state.running(self.data):  # before the port, which is then taken by ourselves
            raise AlreadyRunning(self.data.root, current.pid)
        if self.port:
            self._claim(self.port)
        try:
            await self.infrastructure.__aenter__()
        except BaseException:
            self._give_port_back()
            raise
        try:
            await self._start_services()
        except BaseException as error:
            self.infrastructure.error = str(error) or type(error).__name__
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Gateways drain first: what they have begun still needs the workers."""
        try:
            front = [child for child in self.services if child.name.partition("-")[0] == GATEWAY]
            for group in (front, [child for child in self.services if child not in front]):
                await together(child.stop() for child in group)
        finally:
            await self.infrastructure.__aexit__(None, None, None)
            self._give_port_back()

    def _claim(self, port: int) -> None:
        """Raises PortTaken. Without the claim two instances that start together would share the port."""
        self._claimed = claim(port)
        if self._claimed is None or not is_free(port, self.options.host):
            self._give_port_back()
            raise PortTaken(self.options.host, port)

    def _give_port_back(self) -> None:
        if self._claimed is not None:
            self._claimed.close()
            self._claimed = None

    def kill_services(self) -> None:
        """No patience left: SIGKILL instead of draining, so that a stop under way ends at once."""
        for child in self.services:
            child.send(signal.SIGKILL)

    async def _start_services(self) -> None:
        infra = self.infrastructure
        if not self.port:
            self.port = infra.ports.take(GATEWAY)
            if not is_free(self.port, self.options.host):
                raise PortTaken(self.options.host, self.port)
        infra.extra_urls = {"gateway": self.url, "openai": f"{self.url}/v1"}
        for service in self._wanted():
            count = self.options.scale.get(service, 1)
            for number in range(1, count + 1):
                name = service if count == 1 else f"{service}-{number}"
                self.services.append(infra.supervise(self._part(service, name)))
        await together(child.start() for child in self.services)
        infra.record("ready")

    def _wanted(self) -> list[str]:
        present = services.installed()
        if GATEWAY not in present:
            raise StartError(
                "The service packages are not installed in this environment (caravan_gateway is missing). "
                "Run `make setup`, or install caravan with its services."
            )
        return [name for name in KNOWN if name in present]

    def _part(self, service: str, name: str) -> Service:
        ops_port = self.infrastructure.ports.take(f"ops-{name}")
        return Service(
            name=name,
            module=services.module(service),
            environment=self._environment(service, ops_port),
            log=self.data.log(name),
            port=ops_port,
            front=(self.host, self.port) if service == GATEWAY else None,
            drain_seconds=self._drain_seconds,
        )

    def _environment(self, service: str, ops_port: int) -> dict[str, str]:
        infra = self.infrastructure
        own = {
            "NATS_URL": infra.nats_url,
            "NATS_NKEY_SEED_FILE": str(bus_users.seed_file(self.data, service)),
            "DATABASE_URL_FILE": str(infra.database_url_file),
            "REDIS_URL_FILE": str(infra.redis_url_file),
            "CARAVAN_REGISTRY_STACK": self.options.stack,
            "CARAVAN_OPS_HOST": "127.0.0.1",
            "CARAVAN_OPS_PORT": str(ops_port),
            "CARAVAN_OBJECTS_URL": os.environ.get("CARAVAN_OBJECTS_URL") or self.data.objects.as_uri(),
            "CARAVAN_GATEWAY_HOST": self.options.host,
            "CARAVAN_GATEWAY_PORT": str(self.port),
        }
        if service == AGENTS:
            own["CARAVAN_AGENTS_SECRET_FILE"] = str(infra.agents_secret_file)
        if not self.options.local_model:
            excluded = os.environ.get("CARAVAN_INFERENCE_EXCLUDE", "").split(",")
            own["CARAVAN_INFERENCE_EXCLUDE"] = ",".join(dict.fromkeys([*filter(None, excluded), *LOCAL_PROVIDERS]))
        # A variable of the user's shell may name another server; ours are the ones that count here.
        inherited = {key: value for key, value in os.environ.items() if key not in _OVERRIDDEN}
        return inherited | own


_OVERRIDDEN = frozenset(("NATS_NKEY_SEED", "DATABASE_URL", "REDIS_URL", "CARAVAN_INSTANCE"))


def _drain_seconds() -> float:
    text = os.environ.get(_DRAIN) or "30"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise StartError(f"{_DRAIN}={text!r} is no number of seconds: set it to one, such as 30, or unset it.")
    return seconds


def reachable(host: str) -> str:
    """Where to knock for a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "::1" if address.version == 6 else "127.0.0.1"
    return host
