"""From the model a client wrote to the targets that may answer: names, types, health, limits, free slots."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Final

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, ModelNotFound, RateLimited
from caravan_contracts.inference import Verb
from caravan_contracts.registry import ModelType
from caravan_contracts.routes import Target

from caravan_bus.catalog import Catalog, ModelTarget, Route
from caravan_bus.native import speaks
from caravan_bus.router import Router
from caravan_bus.routing.health import Use
from caravan_bus.routing.plan import Plan, Standing, ordered, plan
from caravan_bus.routing.properties import Properties
from caravan_bus.routing.state import RoutingState
from caravan_bus.routing.targets import Candidate

_WANTED: Final[Mapping[Verb, tuple[ModelType, ...]]] = {
    Verb.CHAT: (ModelType.LLM,),
    Verb.COMPLETIONS: (ModelType.LLM,),
    Verb.EMBEDDINGS: (ModelType.EMBEDDING,),
    Verb.RERANK: (ModelType.RERANK, ModelType.EMBEDDING),
    Verb.MESSAGES: (ModelType.LLM,),
}
_MOST_FOUND: Final = 1024
"""Names that a provider takes without listing them have no end."""
_ANY: Final = Target(model="-")
"""What is said of the target of a model without a route: nothing."""


def single(verb: Verb, name: str, target: ModelTarget, catalog: Catalog, tenant: str) -> tuple[Candidate, ...]:
    """The one candidate of a model without a route. Raises InvalidRequest for one that does not do `verb`."""
    if (wrong := _not_for(verb, name, target, catalog, tenant)) is not None:
        raise wrong
    if len(catalog.found) >= _MOST_FOUND:
        catalog.found.clear()
    made = catalog.found[verb, name, tenant] = (_candidate(target, _ANY, catalog, tenant),)
    return made


def found(verb: Verb, name: str, catalog: Catalog, tenant: str) -> tuple[Candidate, ...] | None:
    """What :func:`single` said of the same since anything in `catalog` changed; None when it was not asked."""
    known: tuple[Candidate, ...] | None = catalog.found.get((verb, name, tenant))
    return known


def of_route(route: Route, verb: Verb, properties: Properties, catalog: Catalog) -> list[Candidate]:
    """The candidates that a route means for a request, in its order. Targets that are not there, or do something else,
    are passed over. Raises ModelNotFound or InvalidRequest when none is left."""
    found: list[Candidate] = []
    wrong: CaravanError | None = None
    for target in ordered(route.spec, properties, random.random()):
        try:
            model = catalog.resolve(target.model, route.tenant)
        except ModelNotFound as error:
            wrong = wrong or ModelNotFound(
                f"The route {route.id!r} leads to {target.model!r}. {error.message}", param="model"
            )
            continue
        refused = _not_for(verb, route.id, model, catalog, route.tenant)
        if refused is None:
            found.append(_candidate(model, target, catalog, route.tenant))
        wrong = wrong or refused
    if not found:
        raise wrong or ModelNotFound(f"The route {route.id!r} leads nowhere.", param="model")
    return found


async def ready(
    route: Route, candidates: list[Candidate], state: RoutingState, router: Router, context: RequestContext
) -> tuple[Candidate, ...]:
    """Those that may be asked now, the best first. When all of them said when to come back, and that is soon, it is
    waited for. When all failed too often they are asked all the same: there is nothing to lose. Raises RateLimited."""
    made = plan(candidates, lambda candidate: _standing(candidate, state, router))
    if made.standing is Standing.FULL:
        wait = min(state.loads.full(one.key, one.options.limits) for one in candidates)
        raise RateLimited(f"the limits of every target of {route.id!r} are reached", retry_after=max(1.0, wait))
    if made.standing is Standing.COOLING:
        await _cooled(route, made, state, context)
    return made.candidates


async def _cooled(route: Route, made: Plan, state: RoutingState, context: RequestContext) -> None:
    wait = min(state.health.wait(candidate.key) for candidate in made.candidates)
    if wait > route.spec.retry.max_wait or wait >= context.remaining:
        raise RateLimited(f"every target of {route.id!r} is rate limited", retry_after=wait)
    await asyncio.sleep(wait)


def _standing(candidate: Candidate, state: RoutingState, router: Router) -> Standing:
    use = state.health.use(candidate.key)
    if use is Use.NO:
        return Standing.OPEN
    if use is Use.COOLING:
        return Standing.COOLING
    if state.loads.full(candidate.key, candidate.options.limits):
        return Standing.FULL
    return Standing.READY if router.has_room(candidate.model.provider_id) else Standing.BUSY


def _candidate(target: ModelTarget, options: Target, catalog: Catalog, tenant: str) -> Candidate:
    provider = catalog.provider(target.provider_id, tenant)
    return Candidate(target, options, str(provider.body.get("provider_type", "")) if provider is not None else "")


def _not_for(verb: Verb, name: str, target: ModelTarget, catalog: Catalog, tenant: str) -> InvalidRequest | None:
    """Why a model does not do `verb`; None when it does."""
    if target.model_type not in _WANTED[verb]:
        kind, needed = target.model_type.value, " or ".join(_WANTED[verb])
        return _wrong_type(f"the model {name!r} is of type {kind}; {verb.value} needs {needed}")
    if not speaks(verb, catalog.provider(target.provider_id, tenant)):
        return _wrong_type(
            f"the provider of {target.id!r} does not speak Anthropic's Messages API: ask for a chat completion, or say "
            "'messages: true' in its config when it does"
        )
    return None


def _wrong_type(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="model", code="wrong_model_type")
