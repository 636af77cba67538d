"""An upstream that has said all, and does not say that this was all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from caravan_contracts.errors import UpstreamBroke, UpstreamFailed
from caravan_contracts.inference import Verb
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.openai_compatible import OpenAICompatible

from tests.providers.contract import make_call, streamed, text_of
from tests.providers.serving import serving
from tests.routing.sse import chat

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
BODY = {"messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def lingering(*parts: bytes, pause: float = 0.0, read: float = 3.0) -> AsyncIterator[OpenAICompatible]:
    """A provider whose upstream sends `parts` and then neither speaks nor hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        for part in (HEAD, *parts):
            writer.write(part)
            await asyncio.sleep(pause)
        await reader.read()

    async with serving(serve) as (_, server):
        config = {"base_url": f"http://127.0.0.1:{server.port}/v1", "timeouts": {"read": read}}
        made = OpenAICompatible(ProviderOptions("up", "remote::openai-compatible", 8, config))
        await made.start()
        try:
            yield made
        finally:
            await made.close()


async def test_a_finish_reason_is_the_end_a_second_later() -> None:
    async with lingering(*chat(["a", "b"], model="m")) as provider:
        began = time.monotonic()
        events, result = await streamed(provider, make_call(Verb.CHAT, "m", BODY, stream=True))
    assert 0.9 < time.monotonic() - began < 2
    assert text_of(events) == "ab" and result.summary.finish_reason == "stop"


async def test_usage_that_comes_after_it_is_waited_for() -> None:
    events = chat(["a", "b"], model="m", usage=(3, 2))
    async with lingering(*events, pause=0.3) as provider:
        _, result = await streamed(provider, make_call(Verb.CHAT, "m", BODY, stream=True))
    assert result.summary.usage is not None and result.summary.usage.completion_tokens == 2


async def test_one_of_several_choices_is_no_end() -> None:
    async with lingering(*chat(["a"], model="m"), read=1.5) as provider:
        with pytest.raises((UpstreamBroke, UpstreamFailed)):
            await streamed(provider, make_call(Verb.CHAT, "m", {**BODY, "n": 2}, stream=True))
