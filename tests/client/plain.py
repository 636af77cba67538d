"""A bus user with a bare NATS client, as docs/bus.md tells it to ask for responses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from nats.aio.client import Client


class Refused(Exception):
    """An error message: its status, and its body."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error


class Plain:
    """A bus user that follows the recipe of docs/bus.md."""

    def __init__(self, client: Client, name: str, tenant: str, patience: float = 20.0) -> None:
        """`patience` is for a silence: no worker says that it died."""
        self.client = client
        self._patience = patience
        self._name = name
        self._tenant = tenant

    async def ask(self, verb: str, body: Any, headers: dict[str, str] | None = None) -> AsyncIterator[bytes]:
        """The bodies of the messages that come, up to a good end."""
        inbox = self.client.new_inbox()
        replies = await self.client.subscribe(inbox)
        subject = f"caravan.v1.agents.{verb}.{self._tenant}.{self._name}"
        try:
            await self.client.publish(subject, json.dumps(body).encode(), reply=inbox, headers=headers)
            while True:
                message = await replies.next_msg(timeout=self._patience)
                if message.headers:
                    code = message.headers.get("Nats-Service-Error-Code") or message.headers["Status"]
                    raise Refused(int(code), json.loads(message.data or b'{"error": {}}')["error"])
                if not message.data:
                    return
                yield message.data
        finally:
            await replies.unsubscribe()

    async def whole(self, verb: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        return json.loads(b"".join([piece async for piece in self.ask(verb, body, headers)]))

    async def events(self, verb: str, body: Any, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
        return read(b"".join([piece async for piece in self.ask(verb, body, headers)]))


def read(said: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in said.splitlines() if line.startswith(b"data: ")]


def text(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
