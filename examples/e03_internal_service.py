"""A service of your own on the bus: no HTTP, no Caravan package, a NATS client and a bus user.

Python 3.11+, `pip install nats-py nkeys`. The user is made with `caravan bus user add example`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import nats

NATS_URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
USER = os.environ.get("NATS_USER", "example")
TENANT = os.environ.get("NATS_TENANT", "default")
SEED_FILE = os.environ.get("NATS_NKEY_SEED_FILE", str(Path.home() / ".local/share/caravan/bus" / f"{USER}.nk"))
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
SUBJECT = f"caravan.v1.inference.chat.{TENANT}.{USER}"  # the only one this user may ask on: it says who we are


async def main() -> None:
    """Publish a request, print the answer as it comes."""
    bus = await nats.connect(NATS_URL, nkeys_seed=SEED_FILE, inbox_prefix=f"_INBOX.{USER}".encode())
    inbox = bus.new_inbox()
    replies = await bus.subscribe(inbox)
    request = {"model": MODEL, "stream": True, "max_tokens": 60, "temperature": 0}
    request["messages"] = [{"role": "user", "content": "What is the capital of France?"}]
    await bus.publish(SUBJECT, json.dumps(request).encode(), reply=inbox)
    rest = b""
    while True:
        message = await replies.next_msg(timeout=60)
        if message.headers:  # an error, or the server's word that no worker is there
            sys.exit(message.headers.get("Nats-Service-Error", "no inference worker is running"))
        if not message.data:  # the end
            break
        *lines, rest = (rest + message.data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    print(choice["delta"].get("content") or "", end="", flush=True)
    print()
    await bus.close()


if __name__ == "__main__":
    asyncio.run(main())
