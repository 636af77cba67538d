"""Which models may be asked in the words of another API than OpenAI's: those whose provider speaks it itself."""

from __future__ import annotations

from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import ModelNotFound
from caravan_contracts.inference import Verb
from caravan_contracts.registry import MESSAGES_TYPES, Resource

from caravan_bus.catalog import Catalog


def speaks(verb: Verb, provider: Resource | None) -> bool:
    """Whether requests in the words of `verb` are for a provider as they are. Every provider is asked in OpenAI's;
    those speak Anthropic's whose config says ``messages: true``, or whose type implies it."""
    if verb is not Verb.MESSAGES:
        return True
    if provider is None:
        return False
    config = provider.body.get("config")
    said = config.get("messages") if isinstance(config, dict) else None
    return provider.body.get("provider_type") in MESSAGES_TYPES if said is None else said is True


def anybody_speaks(verb: Verb, catalog: Catalog) -> bool:
    """Whether it is worth looking at a request at all."""
    return any(speaks(verb, provider) for provider in catalog.all_providers())


def all_speak(verb: Verb, model: str, catalog: Catalog, tenant: str = DEFAULT_TENANT) -> bool:
    """Whether all do that may answer for a model or route. What is not there does not answer."""
    route = catalog.route(model, tenant)
    wanted = [(model, tenant)] if route is None else [(target.model, route.tenant) for target in route.spec.targets]
    found = []
    for name, owner in wanted:
        try:
            target = catalog.resolve(name, owner)
        except ModelNotFound:
            continue
        found.append(speaks(verb, catalog.provider(target.provider_id, owner)))
    return bool(found) and all(found)
