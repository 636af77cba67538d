"""Requests that are not simply asked: those with an ``Idempotency-Key``, and those that a cache may answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from caravan_bus import metrics
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.registry_view import RegistryView
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown
from caravan_contracts.inference import Verb
from caravan_contracts.openai import RequestFacts, read_request
from caravan_storage.redis import Redis

from caravan_gateway import fingerprint
from caravan_gateway.asgi import Headers
from caravan_gateway.caching.cache import HEADER, ResponseCache, Wish, wish_of
from caravan_gateway.caching.copied import Copied
from caravan_gateway.caching.store import AnswerStore
from caravan_gateway.idempotency.attached import Attached
from caravan_gateway.idempotency.claim import Scope
from caravan_gateway.idempotency.desk import IdempotencyDesk
from caravan_gateway.idempotency.following import Following
from caravan_gateway.idempotency.run import Begun, Finish
from caravan_gateway.idempotency.store import RunStore
from caravan_gateway.kept import split
from caravan_gateway.settings import Settings
from caravan_gateway.source import Source, Whole

KEY: Final = b"idempotency-key"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request."""

    verb: Verb
    body: bytes
    headers: dict[bytes, bytes]
    context: RequestContext
    provider_data: Mapping[str, str] | None
    finish: Finish
    """Called when a run that was begun for it is over."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key."""

    verb: str
    key: bytes
    body: bytes
    """JSON that was read already."""
    context: RequestContext
    provider_data: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Once:
    """The run that such a request began, or found."""

    followed: Following | Attached
    headers: Headers


@dataclass(frozen=True, slots=True)
class Found:
    """Where its answer comes from."""

    source: Source
    stream: bool
    headers: Headers = field(default_factory=list)
    asked: Asked | None = None
    """To be finished with the request; a run finishes its own."""
    followed: Following | Attached | None = None
    """To be left with the request."""


class Special:
    """One per gateway. Without Redis there is neither a cache nor a run that others can attach to."""

    def __init__(self, client: InferenceClient, view: RegistryView, settings: Settings, redis_url: str) -> None:
        self._client = client
        self._view = view
        self._longest = settings.request_timeout
        self._redis = redis = Redis(redis_url) if redis_url else None
        self._desk: IdempotencyDesk | None = None
        self._cache: ResponseCache | None = None
        if redis is not None:
            runs = RunStore(redis, settings.idempotency_seconds, settings.idempotency_bytes)
            self._desk = IdempotencyDesk(runs)
            self._cache = ResponseCache(AnswerStore(redis, settings.cache_bytes), view)

    def concerns(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request may be one of these."""
        return KEY in headers or HEADER in headers or self._view.catalog.caching > 0

    async def find(self, wanted: Wanted) -> Found:
        """Begin, attach or look up. Raises what :meth:`InferenceClient.ask` does, KeyReused, DependencyDown."""
        wish = wish_of(wanted.headers)
        facts = read_request(wanted.verb, wanted.body)
        if KEY in wanted.headers:
            return await self._once(wanted, facts, wish)
        return await self._kept(wanted, facts, wish)

    async def close(self, seconds: float) -> None:
        """Let runs that others follow end, for so long."""
        if self._desk is not None:
            await self._desk.close(seconds)
        if self._cache is not None:
            await self._cache.close()
        if self._redis is not None:
            await self._redis.close()

    async def once(self, asked: Keyed, ask: Callable[[RequestContext, str], Awaitable[Begun]], finish: Finish) -> Once:
        """Begin a request with a key, or attach to the one there is. `ask` begins it, under a name that all requests
        of this key and body have. Raises what that does, KeyReused, DependencyDown, and InvalidJSON."""
        if self._desk is None:
            raise DependencyDown("requests with an Idempotency-Key need Redis, and this server has none")
        context = asked.context
        scope = Scope.of(context.principal.tenant, asked.verb, asked.key)
        read_as = (context.anthropic_version, context.anthropic_beta)
        body = fingerprint.of_body(asked.verb, asked.body, asked.provider_data, context.principal.guardrails, read_as)
        name = f"caravan-{scope.name[:32]}-{body[:16]}"

        async def begin() -> Begun:
            # as long as any request may take: who follows it waits as long as its own header says. Its key for the
            # provider is ours: two tenants may be one customer of a provider, and choose the same
            own = replace(context, deadline=time.monotonic() + self._longest, idempotency_key=name)
            return await ask(own, name)

        followed = await self._desk.join(scope, body, context, begin, finish)
        outcome = "run" if followed.first else "attached"
        metrics.IDEMPOTENT.labels(outcome).inc()
        return Once(followed, [(b"x-caravan-idempotency", outcome.encode())])

    async def _once(self, wanted: Wanted, facts: RequestFacts, wish: Wish) -> Found:
        async def ask(own: RequestContext, name: str) -> Begun:
            return await self._client.ask(wanted.verb, wanted.body, own, wanted.provider_data, facts)

        asked = Keyed(wanted.verb.value, wanted.headers[KEY], wanted.body, wanted.context, wanted.provider_data)
        once = await self.once(asked, ask, wanted.finish)
        followed, headers = once.followed, once.headers
        tenant = wanted.context.principal.tenant
        if wish is not Wish.NOTHING or (self._cache is not None and self._cache.always(facts.model, tenant)):
            headers.append(_told("bypass"))
        return Found(followed, facts.stream, headers, None, followed)

    async def _kept(self, wanted: Wanted, facts: RequestFacts, wish: Wish) -> Found:
        cache, context = self._cache, wanted.context
        tenant = context.principal.tenant
        lookup = None
        asks = wish is not Wish.NOTHING or (cache is not None and cache.always(facts.model, tenant))
        own = wanted.provider_data or context.anthropic_version or context.anthropic_beta
        if cache is not None and asks and not own:
            guardrails = self._client.guardrails(facts.model, wanted.context)
            lookup = cache.lookup(wanted.verb, wanted.body, facts, tenant, wish, guardrails)
        if cache is not None and lookup is not None:
            try:
                kept = await cache.find(lookup)
                if kept is not None:
                    return Found(Whole(*split(kept)), facts.stream, [_told("hit")])
            except CaravanError:  # the cache has written down why
                lookup = None
        asked = await self._client.ask(wanted.verb, wanted.body, wanted.context, wanted.provider_data, facts)
        if cache is None or lookup is None:
            return Found(asked.stream, facts.stream, [_told("bypass")] if asks else [], asked)
        return Found(Copied(cache, lookup, asked.stream), facts.stream, [_told("miss")], asked)


def _told(outcome: str) -> tuple[bytes, bytes]:
    metrics.CACHE.labels(outcome).inc()
    return HEADER, outcome.encode()
