"""One server in a container with a port of its own on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from testcontainers.core.container import DockerContainer

from tests.infrastructure.compose import ContainerSpec
from tests.infrastructure.ports import free_port

_READY_SECONDS = 40.0
_ENDED = ("exited", "dead")


class Container:
    """Made stopped. The port on this machine is chosen once, so it is the same after a kill and a start."""

    def __init__(self, spec: ContainerSpec) -> None:
        self.spec = spec
        self.port = free_port()
        self._container: DockerContainer | None = None

    async def start(self) -> None:
        """Make the container, or start the one that was killed; returns before the server in it answers."""
        if self._container is None:
            self._container = build(self.spec, self.port)
            await asyncio.to_thread(self._container.start)
        else:
            await asyncio.to_thread(self._container.get_wrapped_container().start)

    async def ready(self, check: Callable[[], Awaitable[None]]) -> None:
        """Wait until `check` raises nothing; raises TimeoutError with the container's log."""
        end = time.monotonic() + _READY_SECONDS
        while True:
            try:
                async with asyncio.timeout(30):
                    return await check()
            except Exception as error:  # each server's client has its own; the last one is told
                if time.monotonic() > end or await self._ended():
                    raise TimeoutError(f"{self.spec.name} does not answer ({error!r}): {await self._log()}") from error
            await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """SIGKILL; nothing happens when it does not run."""
        if self._container is not None and not await self._ended():
            await asyncio.to_thread(self._container.get_wrapped_container().kill)
            await asyncio.to_thread(self._container.get_wrapped_container().wait, timeout=10)

    async def restart(self) -> None:
        """Start it, stopped or killed before if need be; returns before the server in it answers."""
        assert self._container is not None
        await asyncio.to_thread(self._container.get_wrapped_container().restart, timeout=10)

    async def remove(self) -> None:
        """And its data."""
        if self._container is not None:
            await asyncio.to_thread(self._container.stop)
            self._container = None

    async def _ended(self) -> bool:
        assert self._container is not None
        await asyncio.to_thread(self._container.reload)
        return self._container.status in _ENDED

    async def _log(self) -> str:
        assert self._container is not None
        out, err = await asyncio.to_thread(self._container.get_logs)
        return (out + err)[-2000:].decode(errors="replace")


def build(spec: ContainerSpec, port: int) -> DockerContainer:
    """The container as testcontainers knows it; nothing is started. Docker must answer."""
    made = DockerContainer(
        spec.image,
        command=list(spec.command) or None,  # type: ignore[arg-type]  # passed on as it is; Docker takes both
        env=dict(spec.environment),
        volumes=[(folder, target, "ro") for folder, target in spec.mounts.items()],
        shm_size=spec.shm_size,
    )
    made.ports[str(spec.port)] = ("127.0.0.1", port)  # type: ignore[assignment]  # with_bind_ports takes no address
    return made
