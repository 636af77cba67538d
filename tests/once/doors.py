"""Two gateways on one port, and clients that know which of them they talk to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import psutil

from tests.mesh.running import RunningMesh

DONE = b"data: [DONE]\n\n"


def chat(text: str, model: str = "up/plain", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


@dataclass
class Door:
    """One connection to one gateway; for one request at a time."""

    client: httpx.AsyncClient
    gateway: str

    async def post(self, body: Any, key: str = "", path: str = "/v1/chat/completions", **headers: str) -> Any:
        return await self.client.post(path, **asked(body, key, headers))

    @asynccontextmanager
    async def stream(self, body: Any, key: str = "", **headers: str) -> AsyncIterator[Stream]:
        async with self.client.stream("POST", "/v1/chat/completions", **asked(body, key, headers)) as response:
            yield Stream(response)

    async def whole(self, body: Any, key: str = "", **headers: str) -> tuple[bytes, httpx.Headers]:
        """A stream to its end."""
        async with self.stream(body, key, **headers) as stream:
            return await stream.rest(), stream.response.headers


@dataclass
class Stream:
    response: httpx.Response
    seen: bytes = b""
    _pieces: AsyncIterator[bytes] | None = field(default=None, repr=False)

    async def until(self, text: bytes) -> None:
        """Read until `text` was sent."""
        async for piece in self._rest():
            self.seen += piece
            if text in self.seen:
                return
        raise AssertionError(f"{text!r} never came: {self.seen!r}")

    async def rest(self) -> bytes:
        """All of it."""
        async for piece in self._rest():
            self.seen += piece
        return self.seen

    def _rest(self) -> AsyncIterator[bytes]:
        if self._pieces is None:
            self._pieces = self.response.aiter_raw()
        return self._pieces


def asked(body: Any, key: str, headers: dict[str, str]) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named["Idempotency-Key"] = key
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"content": content, "headers": {"Content-Type": "application/json", **named}}


class Doors:
    """Opens connections to gateways by name."""

    def __init__(self, mesh: RunningMesh, stack: AsyncExitStack) -> None:
        self._mesh = mesh
        self._stack = stack

    async def open(self, number: int, key: str = "key-ada") -> Door:
        """A connection to the gateway of that number."""
        name = f"gateway-{number}"
        for _ in range(100):
            client = httpx.AsyncClient(base_url=self._mesh.url, timeout=30, headers={"Authorization": f"Bearer {key}"})
            response = await client.get("/livez")
            port = response.extensions["network_stream"].get_extra_info("client_addr")[1]
            if port in {it.raddr.port for it in psutil.Process(self._mesh.pid(name)).net_connections() if it.raddr}:
                self._stack.push_async_callback(client.aclose)
                return Door(client, name)
            await client.aclose()
        raise AssertionError(f"no connection came to {name}")
