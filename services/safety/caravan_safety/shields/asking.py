"""Models on the bus, asked for their judgement."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_bus.inference import InferenceClient
from caravan_contracts.context import UNGUARDED, Principal, RequestContext
from caravan_contracts.errors import DeadlineExceeded, UpstreamFailed
from caravan_contracts.inference import Verb

from caravan_safety.shields.base import Passage

_MOST: Final = 1024 * 1024
"""Bytes of an answer."""
_LONGEST: Final = 120.0
"""Seconds, whatever the passage allows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote; `first` are the probabilities of its first words, where it tells them."""

    text: str
    first: dict[str, float]


class Asking:
    """One per process."""

    def __init__(self, client: InferenceClient) -> None:
        self._client = client

    async def chat(self, tenant: str, body: dict[str, Any], passage: Passage) -> Answer:
        """Ask as `tenant`, the one that the shield belongs to: a tenant that is looked at must not be able to put a
        model of its own in the place of the shield's. No guardrail looks at what is asked. Raises UpstreamFailed,
        DeadlineExceeded, and what :meth:`InferenceClient.ask` raises."""
        answer = await self._whole(Verb.CHAT, tenant, body, passage)
        try:
            choice = answer["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise UpstreamFailed(f"the answer of the model {body['model']} cannot be read") from error
        if not isinstance(text, str) or not text.strip():
            raise UpstreamFailed(f"the model {body['model']} wrote nothing")
        return Answer(text.strip(), _first(choice))

    async def _whole(self, verb: Verb, tenant: str, body: dict[str, Any], passage: Passage) -> Any:
        principal = Principal(tenant, "shield", (UNGUARDED,))
        seconds = min(_LONGEST, passage.until - time.monotonic())
        context = RequestContext(passage.request_id, principal, time.monotonic() + seconds)
        try:
            async with asyncio.timeout(seconds):
                asked = await self._client.ask(verb, orjson.dumps(body), context)
                try:
                    answer = await asked.stream.read_all(_MOST)
                finally:
                    await self._client.finish(asked)
        except TimeoutError as error:
            raise DeadlineExceeded(f"the model {body['model']} gave no verdict in {seconds:.1f} s") from error
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise UpstreamFailed(f"the model {body['model']} answered something that is no JSON") from error


def _first(choice: dict[str, Any]) -> dict[str, float]:
    """Logarithms of probabilities by word: of the first word that is more than blanks."""
    try:
        for token in choice["logprobs"]["content"]:
            if str(token["token"]).strip():
                rows = [token, *token.get("top_logprobs", ())]
                return {str(row["token"]).strip().lower(): float(row["logprob"]) for row in rows}
    except (KeyError, TypeError, ValueError):
        pass
    return {}
