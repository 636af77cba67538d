"""An endpoint that writes down what it is told, and answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from caravan_agents.webhooks import endpoints
from caravan_contracts.webhooks import WebhookSpec
from openai import OpenAI

SECRET = "whsec_Q2FyYXZhbiBzaWducyB3aXRoIHRoZXNlIGJ5dGVz"
HOOKS = """
webhooks:
  - url: {url}/all
    secret: ${{env.HOOK_SECRET}}
    allow_private: true
  - url: {url}/cancelled
    secret: ${{env.HOOK_SECRET}}
    events: [response.cancelled]
    allow_private: true
  - url: {url}/stranger
    secret: ${{env.HOOK_SECRET}}
    tenant: stranger
    allow_private: true
"""
"""Endpoints of a mesh, in its stack file."""


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(orjson.loads(self.body))

    def verified(self, secret: str = SECRET) -> Any:
        """The event as OpenAI's SDK reads it; it raises for a signature that is wrong."""
        return OpenAI(api_key="-").webhooks.unwrap(self.body, self.headers, secret=secret)


@dataclass
class Receiver:
    port: int = 0
    status: Callable[[Heard], int] = lambda heard: 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Requests are answered while it is set."""
    heard: list[Heard] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    endless: bool = False
    """Whether bodies of answers never end."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self, path: str = "/") -> list[str]:
        return [heard.event["data"]["id"] for heard in self.heard if heard.path == path]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        heard = Heard(request.path, dict(request.headers), await request.read())
        self.heard.append(heard)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.hold.wait()
        finally:
            self.at_once -= 1
        response = web.StreamResponse(status=self.status(heard), headers=self.headers)
        await response.prepare(request)
        while self.endless:
            await response.write(bytes(64 * 1024))
        return response

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Receiver]:
        """Listen; at the port it had before, if it had one."""
        runner = web.ServerRunner(web.Server(self.answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


def endpoint_at(url: str, **more: object) -> endpoints.Endpoint:
    given = {"secret": SECRET, "tenant": "acme", "allow_private": True, **more}
    return endpoints.endpoint(WebhookSpec.model_validate({"url": url, **given}))


def receiver() -> Receiver:
    made = Receiver()
    made.hold.set()
    return made
