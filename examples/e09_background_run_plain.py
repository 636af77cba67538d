"""The same without any Caravan package: a NATS client and a bus user.

Python 3.11+, `pip install nats-py nkeys`. The user is made with `caravan bus user add example`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

NATS_URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
USER = os.environ.get("NATS_USER", "example")
TENANT = os.environ.get("NATS_TENANT", "default")
SEED_FILE = os.environ.get("NATS_NKEY_SEED_FILE", str(Path.home() / ".local/share/caravan/bus" / f"{USER}.nk"))
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
SILENT_SECONDS = 30  # longer than the model ever thinks: silence means that the worker in between died
TRIES = 5


async def ask(bus: Client, verb: str, body: dict[str, Any]) -> AsyncIterator[bytes]:
    """The pieces of one answer, up to its end. Raises TimeoutError when it falls silent."""
    inbox = bus.new_inbox()
    replies = await bus.subscribe(inbox)
    try:
        await bus.publish(f"caravan.v1.agents.{verb}.{TENANT}.{USER}", json.dumps(body).encode(), reply=inbox)
        while True:
            message = await replies.next_msg(timeout=SILENT_SECONDS)
            if message.headers:  # an error, or the server's word that no worker is there
                sys.exit(message.headers.get("Nats-Service-Error", "no agents worker is running"))
            if not message.data:  # the end
                return
            yield message.data
    finally:
        await replies.unsubscribe()


async def whole(bus: Client, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer of one JSON body."""
    made: dict[str, Any] = json.loads(b"".join([piece async for piece in ask(bus, verb, body)]))
    return made


async def events(bus: Client, run: str) -> AsyncIterator[dict[str, Any]]:
    """The events of a run, each once. When a worker dies another is asked, from the next number on."""
    first = 0
    for _ in range(TRIES):
        rest = b""
        try:
            async for piece in ask(bus, "follow", {"id": run, "first": first}):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        first = event["sequence_number"] + 1
                        yield event
        except TimeoutError:
            continue
        return
    sys.exit("the run fell silent")


async def main() -> None:
    """Start a run, read its events while it is made, then its result."""
    bus = await nats.connect(NATS_URL, nkeys_seed=SEED_FILE, inbox_prefix=f"_INBOX.{USER}".encode())
    request = {"model": MODEL, "input": "Describe a lighthouse.", "max_output_tokens": 60, "background": True}
    queued = await whole(bus, "respond", request)
    print("started:", queued["status"])
    async for event in events(bus, queued["id"]):
        if event["type"] == "response.output_text.delta":
            print(event["delta"], end="", flush=True)
    print()
    made = await whole(bus, "recall", {"operation": "get", "id": queued["id"]})
    await bus.close()
    if made["status"] != "completed":
        sys.exit(f"ended: {made['status']}: {(made['error'] or {}).get('message', '')}")
    print("ended:", made["status"], "with", made["usage"]["output_tokens"], "tokens")


if __name__ == "__main__":
    asyncio.run(main())
