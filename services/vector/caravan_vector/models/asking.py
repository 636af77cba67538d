"""Models over the bus, asked for one whole answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import orjson
from caravan_bus.inference import InferenceClient
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import DeadlineExceeded, UpstreamFailed
from caravan_contracts.inference import Verb

_MOST: Final = 64 * 1024 * 1024
"""Bytes of an answer."""


async def ask(
    client: InferenceClient, verb: Verb, body: dict[str, Any], principal: Principal, name: str, seconds: float
) -> Any:
    """The JSON of the answer; `name` is how logs and traces know the question. Raises UpstreamFailed for an answer
    that is no JSON, DeadlineExceeded, and what :meth:`InferenceClient.ask` raises."""
    context = RequestContext(name, principal, time.monotonic() + seconds)
    try:
        async with asyncio.timeout(seconds):
            asked = await client.ask(verb, orjson.dumps(body), context)
            try:
                answer = await asked.stream.read_all(_MOST)
            finally:
                await client.finish(asked)
    except TimeoutError as error:
        raise DeadlineExceeded(f"the model {body['model']} did not answer in {seconds:g} s") from error
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed(f"the model {body['model']} answered something that is no JSON") from error
