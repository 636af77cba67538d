"""An upstream that says what it is asked to say, in pieces that chance makes."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from aiohttp import web
from caravan_contracts.inference import DONE_EVENT

from tests.guarding.streams import cut, tokens, torn
from tests.upstream.scripted import ScriptedUpstream

LONGEST = (1, 2, 5, 40, 100_000)
READS = (3, 50, 1000, 10**9)


class SayingUpstream(ScriptedUpstream):
    """The last message is JSON ``{say, seed, pause}``, the last in seconds before each read of it; other text is
    answered with "All is well."
    """

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._say)

    async def _say(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        asked = _asked(body)
        chance = random.Random(asked.get("seed"))
        if not body.get("stream"):
            message = {"role": "assistant", "content": asked["say"]}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return web.json_response({"id": "c", "object": "chat.completion", "model": name, "choices": choices})
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        pieces = cut(asked["say"], chance, chance.choice(LONGEST))
        for read in torn(b"".join(tokens(pieces)) + DONE_EVENT, chance, chance.choice(READS)):
            await asyncio.sleep(asked.get("pause", 0))
            await answer.write(read)
        return answer


def _asked(body: Any) -> dict[str, Any]:
    content = body["messages"][-1]["content"]
    if isinstance(content, str) and content.startswith("{"):
        made: dict[str, Any] = json.loads(content)
        return made
    return {"say": "All is well.", "seed": 1}
