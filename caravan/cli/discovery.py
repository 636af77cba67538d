"""Who answers on the bus: NATS service discovery (ADR-32), asked as the bus user ``operator``."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from caravan_contracts import subjects
from caravan_contracts.users import OPERATOR

from caravan.runtime import bus_users
from caravan.runtime.paths import DataDir

_LISTEN = 0.4
"""Seconds to collect answers; there is no telling how many will come."""
_QUIET = 0.15
"""Nobody new for so long after the first answer means that everybody has spoken."""


async def ask(data: DataDir, nats_url: str, verb: str = "STATS") -> list[dict[str, Any]]:
    """Answers to ``$SRV.<verb>`` of every process, sorted by name and id; raises OSError when the bus is away."""
    import nats
    from nats.aio.msg import Msg
    from nats.errors import Error

    answers: list[dict[str, Any]] = []
    heard = asyncio.Event()

    async def collect(message: Msg) -> None:
        answers.append(json.loads(message.data))
        heard.set()

    async def quiet(_: Exception) -> None:
        return None

    prefix = subjects.inbox_prefix(OPERATOR, secrets.token_hex(4))
    try:
        client = await nats.connect(
            nats_url,
            nkeys_seed=str(bus_users.seed_file(data, OPERATOR)),
            inbox_prefix=prefix.encode(),
            allow_reconnect=False,
            connect_timeout=2,
            error_cb=quiet,
        )
    except (Error, TimeoutError) as error:
        raise ConnectionError(f"no answer from the bus at {nats_url}: {error}") from error
    try:
        await client.subscribe(f"{prefix}.*", cb=collect)
        await client.publish(f"$SRV.{verb}", b"", reply=f"{prefix}.1")
        try:
            async with asyncio.timeout(_LISTEN):
                await heard.wait()
                while heard.is_set():
                    heard.clear()
                    await asyncio.sleep(_QUIET)
        except TimeoutError:
            pass  # the time to listen is over: those who answered are those who are there
    finally:
        await client.close()
    return sorted(answers, key=lambda answer: (answer.get("name", ""), answer.get("id", "")))
