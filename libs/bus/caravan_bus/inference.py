"""Asking for inference over the bus: read the request, find the model or route, have a worker serve it.

The gateway, the foreign-client entry of a worker and any service of the mesh ask through this one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest, ModelNotFound
from caravan_contracts.inference import CallSpec, Verb
from caravan_contracts.openai import RequestFacts, read_request

from caravan_bus import native
from caravan_bus.answer import Answer
from caravan_bus.catalog import Route
from caravan_bus.claims import Claims as Claims
from caravan_bus.guarding.guard import Guard, Guarding
from caravan_bus.guarding.policy import names_of
from caravan_bus.registry_view import RegistryView
from caravan_bus.router import Router
from caravan_bus.routing import selection
from caravan_bus.routing.attempts import Attempts
from caravan_bus.routing.call import Call, Request
from caravan_bus.routing.failover import Failover
from caravan_bus.routing.properties import Properties
from caravan_bus.routing.state import RoutingState
from caravan_bus.routing.targets import Candidate
from caravan_bus.storing import Storing, for_provider

_PATIENCE = 5.0
"""Seconds a request waits for a process that has just started to know its models."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under way."""

    facts: RequestFacts
    stream: Answer
    call: Call

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.facts.stream

    @property
    def spec(self) -> CallSpec:
        """What the worker that serves it was told."""
        return self.stream.spec


class InferenceClient:
    """One per process."""

    def __init__(
        self,
        view: RegistryView,
        router: Router,
        claims: Claims | None = None,
        storing: Storing | None = None,
        state: RoutingState | None = None,
        guarding: Guarding | None = None,
    ) -> None:
        """Without `storing`, a request to store its answer is passed on to the provider as it is. Without `state`
        nothing is shared with other processes. Without `guarding` no guardrail is enforced: for what asks models on
        behalf of shields, or of operators."""
        self._storing = storing
        self._view = view
        self._router = router
        self._claims = claims
        self._state = state or RoutingState()
        self._guarding = guarding

    async def ask(
        self,
        verb: Verb,
        body: bytes,
        context: RequestContext,
        provider_data: Mapping[str, str] | None = None,
        facts: RequestFacts | None = None,
    ) -> Asked:
        """Send the JSON `body`, OpenAI's or of what `verb` is; returns once a worker accepted. `facts` of who has read
        the body already. Raises InvalidRequest, ModelNotFound, RateLimited, ContentFiltered (reading the answer may,
        too) and whatever :meth:`Router.send` raises."""
        if facts is None:
            facts = read_request(verb, body)
        tenant = context.principal.tenant
        if not self._view.loaded:
            await self._view.need(_patience(context))
        catalog = self._view.catalog
        route = catalog.route(facts.model, tenant)
        if route is None:
            known = selection.found(verb, facts.model, catalog, tenant)
            candidates = known or await self._single(verb, facts.model, context)
        else:
            candidates = await self._candidates(route, verb, Properties(body, facts.stream), context)
        storing = self._storing if facts.store else None
        wanted = body if storing is None else for_provider(body)
        guard = self._guard(verb, wanted, facts, candidates, context)
        if guard is not None:
            wanted = await guard.body()
        call = Call(Request(verb, facts, wanted, context, provider_data), self._router, self._claims, route is not None)
        stored = b"" if storing is None else body
        del body, wanted  # the call forgets them once they are on their way
        if route is None:
            attempts = Attempts(call, candidates, self._state)
        else:
            attempts = Attempts(call, candidates, self._state, route.id, route.spec)
        stream = Failover(attempts)
        answer: Answer = stream
        try:
            if guard is None:
                await stream.open()
            else:
                answer = await guard.open(stream, stream.open)
        except BaseException:  # a client that went away, too
            await call.release()
            raise
        return Asked(facts, answer if storing is None else storing.tape(answer, stored, context, facts), call)

    async def takes(self, verb: Verb, body: bytes, context: RequestContext) -> bool:
        """Whether a request in other words than OpenAI's may be asked for with :meth:`ask` as it is: all that may
        answer speak them, and no guardrail concerns it, for guardrails read OpenAI's alone. False when something is
        wrong with the body. Raises ModelNotFound, InvalidRequest for a guardrail that there is not, Unavailable."""
        patience = _patience(context)
        await self._view.need(patience)
        if not native.anybody_speaks(verb, self._view.catalog):
            return False
        try:
            model = read_request(verb, body).model
        except InvalidRequest:
            return False
        tenant = context.principal.tenant
        if self._view.catalog.route(model, tenant) is None:
            await self._view.resolve(model, tenant, patience)
        return native.all_speak(verb, model, self._view.catalog, tenant) and not self.guardrails(model, context)

    def guardrails(self, model: str, context: RequestContext) -> str:
        """Of those that would concern a request: another text when the same answer might pass no more. Raises
        InvalidRequest, Unavailable."""
        catalog, guarding = self._view.catalog, self._guarding
        if guarding is None or not (catalog.guarded or context.principal.guardrails):
            return ""
        policy = guarding.policy(catalog, names_of(catalog, model, context.principal.tenant), context)
        return "" if policy is None else policy.digest

    async def finish(self, asked: Asked) -> None:
        """Give up what is left of a request: its stream, and a big body that was kept for it."""
        asked.stream.cancel()
        await asked.call.release()

    def _guard(
        self, verb: Verb, body: bytes, facts: RequestFacts, candidates: tuple[Candidate, ...], context: RequestContext
    ) -> Guard | None:
        """What guardrails demand of a request; None when none concerns it."""
        catalog, guarding = self._view.catalog, self._guarding
        if guarding is None or not (catalog.guarded or context.principal.guardrails):
            return None  # most processes have none, and this is asked for each request
        names = {facts.model}
        for candidate in candidates:
            names |= {candidate.id, f"{candidate.model.provider_id}/{candidate.model.resource_id}"}
        policy = guarding.policy(catalog, names, context)
        if policy is not None and verb is Verb.MESSAGES:
            raise InvalidRequest(
                f"a guardrail concerns {facts.model!r}, and none reads {verb.value}: ask for a chat completion",
                code="guardrail_cannot_read",
            )
        return None if policy is None else guarding.guard(policy, verb, body, facts, context)

    async def _single(self, verb: Verb, name: str, context: RequestContext) -> tuple[Candidate, ...]:
        tenant = context.principal.tenant
        target = await self._view.resolve(name, tenant, _patience(context))
        return selection.single(verb, name, target, self._view.catalog, tenant)

    async def _candidates(
        self, route: Route, verb: Verb, properties: Properties, context: RequestContext
    ) -> tuple[Candidate, ...]:
        try:
            found = selection.of_route(route, verb, properties, self._view.catalog)
        except ModelNotFound:
            # right after a start its providers may not have been heard of
            await self._view.resolve(route.spec.targets[0].model, route.tenant, _patience(context))
            found = selection.of_route(route, verb, properties, self._view.catalog)
        return await selection.ready(route, found, self._state, self._router, context)


def _patience(context: RequestContext) -> float:
    return max(0.0, min(_PATIENCE, context.remaining))
