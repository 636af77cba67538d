"""A user of the bus with a bare NATS client: what it asks, in frames or plain, and how it leaves."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
from caravan_contracts import frames as f
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from tests.mesh.running import RunningMesh
from tests.waiting import until

USER = "wanderer"
WINDOW = 64 * 1024


@dataclass
class BusAnswer:
    """What came, in order, and how it ended."""

    framed: bool
    listening: Subscription | None = None
    data: bytes = b""
    control: str = ""
    error: dict[str, Any] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, message: Msg) -> None:
        """One message at the inbox. Nothing is acknowledged: who asked in frames is a slow reader."""
        if not self.framed:
            self._hear_plain(message)
            return
        self.control = message.reply or self.control
        kind, _, payload = f.decode(message.data)
        if kind == f.Kind.DATA:
            self._add(payload)
        elif kind == f.Kind.ERROR:
            self.error = json.loads(payload)["error"]
            self.over.set()
        elif kind == f.Kind.END:
            self._add(f.decode_end(payload)[1])
            self.over.set()

    def _hear_plain(self, message: Msg) -> None:
        if message.headers:
            self.error = json.loads(message.data)["error"]
            self.error["status"] = int(message.headers["Nats-Service-Error-Code"])
            self.over.set()
        elif message.data:
            self._add(message.data)
        else:
            self.over.set()

    def _add(self, data: bytes) -> None:
        self.data += data
        if data:
            self.begun.set()


class BusUser:
    """One connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._numbers = itertools.count(1)

    async def ask(self, subject: str, body: Any, framed: bool, seconds: float | None = None) -> BusAnswer:
        answer = BusAnswer(framed)
        inbox = f"_INBOX.{USER}.{id(self):x}.{next(self._numbers)}"
        answer.listening = await self.client.subscribe(inbox, cb=answer.hear)
        headers = {"Caravan-Window": str(WINDOW)} if framed else {}
        headers |= {"Caravan-Deadline-Ms": str(int(seconds * 1000))} if seconds is not None else {}
        await self.client.publish(f"{subject}.default.{USER}", json.dumps(body).encode(), inbox, headers or None)
        return answer

    async def unhear(self, answer: BusAnswer) -> None:
        assert answer.listening is not None
        await answer.listening.unsubscribe()

    async def cancel(self, answer: BusAnswer) -> None:
        await until(lambda: bool(answer.control), 5, "the first frame")
        await self.client.publish(answer.control, f.encode(f.Control.CANCEL, 0))


@asynccontextmanager
async def bus_user(mesh: RunningMesh) -> AsyncIterator[BusUser]:
    """Connected."""
    seed = Path(mesh.folder, "data", "bus", f"{USER}.nk")
    if not seed.is_file():  # noqa: ASYNC240 - made once
        assert mesh.command("bus", "user", "add", USER).returncode == 0
    prefix = f"_INBOX.{USER}".encode()
    client = await nats.connect(mesh.state["urls"]["nats"], nkeys_seed=str(seed), inbox_prefix=prefix)
    try:
        yield BusUser(client)
    finally:
        await client.close()
