"""Which requests may be answered from the cache, and who keeps what passes. Whatever Redis does, they are answered."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from caravan_bus import metrics
from caravan_bus.registry_view import RegistryView
from caravan_contracts.errors import CaravanError, DependencyDown, InvalidRequest, ModelNotFound
from caravan_contracts.inference import Verb
from caravan_contracts.openai import RequestFacts

from caravan_gateway import fingerprint
from caravan_gateway.caching.store import AnswerStore
from caravan_gateway.caching.target import digest_of, policy_of

log = logging.getLogger(__name__)

HEADER: Final = b"x-caravan-cache"
MAX_ANSWER: Final = 1024 * 1024
"""Bytes; longer answers are not kept."""
LOOK_SECONDS: Final = 1.0
"""Longest wait for Redis, before the model is asked all the same."""
PAUSE_SECONDS: Final = 1.0
"""How long Redis is left alone after it failed."""
KEEP_PATIENCE: Final = 0.25
"""How long the end of an answer waits until it is kept: whoever asks again then finds it."""
MAX_KEEPING: Final = 64
"""Answers on their way to Redis."""


class Wish(Enum):
    """What the header ``X-Caravan-Cache`` says."""

    NOTHING = auto()
    USE = auto()
    BYPASS = auto()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A request that may use the cache."""

    tenant: str
    key: str
    seconds: float


class ResponseCache:
    """One per gateway."""

    def __init__(self, store: AnswerStore, view: RegistryView) -> None:
        self._store = store
        self._view = view
        self._keeping: set[asyncio.Task[None]] = set()
        self._left_alone_until = 0.0

    def lookup(
        self, verb: Verb, body: bytes, facts: RequestFacts, tenant: str, wish: Wish, guardrails: str
    ) -> Lookup | None:
        """How the answer to a request is kept; None when it is not. `guardrails`: see
        :meth:`InferenceClient.guardrails`."""
        if wish is Wish.BYPASS or facts.store:
            return None
        try:
            policy = policy_of(self._view.catalog, facts.model, tenant)
            if policy.mode == "off" or (policy.mode == "header" and wish is not Wish.USE):
                return None
            target = digest_of(self._view.catalog, facts.model, tenant)
        except ModelNotFound:  # asking waits for it, or says so
            return None
        return Lookup(tenant, fingerprint.of_answer(verb, body, target, guardrails), policy.seconds)

    def always(self, model: str, tenant: str) -> bool:
        """Whether the answers of a model are kept without being asked to."""
        try:
            return policy_of(self._view.catalog, model, tenant).mode == "always"
        except ModelNotFound:
            return False

    async def find(self, lookup: Lookup) -> bytes | None:
        """What is kept. Raises DependencyDown."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._left_alone_until:
            raise DependencyDown("Redis did not answer a moment ago")
        await self._store.ready()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._store.get(lookup.tenant, lookup.key)
        except (DependencyDown, TimeoutError) as error:
            self._left_alone_until = loop.time() + PAUSE_SECONDS
            log.info("the response cache is passed by: %r", error)
            raise DependencyDown("Redis does not answer") from error

    async def keep(self, lookup: Lookup, kept: bytes) -> None:
        """Keep a whole answer, if need be behind the caller's back."""
        if len(self._keeping) >= MAX_KEEPING or asyncio.get_running_loop().time() < self._left_alone_until:
            metrics.CACHE.labels("lost").inc()
            return
        task = asyncio.create_task(self._put(lookup, kept), name="cache-put")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        await asyncio.wait({task}, timeout=KEEP_PATIENCE)

    async def close(self) -> None:
        """Wait for what is on its way."""
        if self._keeping:
            await asyncio.wait(set(self._keeping), timeout=1.0)

    async def _put(self, lookup: Lookup, kept: bytes) -> None:
        try:
            await self._store.put(lookup.tenant, lookup.key, kept, lookup.seconds)
        except CaravanError as error:
            log.info("an answer is not kept: %s", error.message)
            metrics.CACHE.labels("lost").inc()


def wish_of(headers: dict[bytes, bytes]) -> Wish:
    """Raises InvalidRequest."""
    said = headers.get(HEADER)
    if said is None:
        return Wish.NOTHING
    if said not in (b"use", b"bypass"):
        raise InvalidRequest("the header X-Caravan-Cache is 'use' or 'bypass'", param="X-Caravan-Cache")
    return Wish.USE if said == b"use" else Wish.BYPASS
