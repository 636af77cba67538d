"""What a model's name stands for: whether answers are kept, and how long an answer is good."""

from __future__ import annotations

import hashlib

import orjson
from caravan_bus.catalog import Catalog, ModelTarget
from caravan_contracts.caching import Cache
from caravan_contracts.errors import ModelNotFound

_DEFAULT = Cache()


def policy_of(catalog: Catalog, model: str, tenant: str) -> Cache:
    """When answers are kept. Raises ModelNotFound."""
    route = catalog.route(model, tenant)
    if route is not None:
        return route.spec.cache
    resource = catalog.resolve(model, tenant).resource
    return (resource.model.cache if resource is not None else None) or _DEFAULT


def digest_of(catalog: Catalog, model: str, tenant: str) -> str:
    """SHA-256, hex, of the models, providers and rules that answer: when it changes, so may the answers. Raises
    ModelNotFound."""
    route = catalog.route(model, tenant)
    if route is None:
        return _digest([_said(catalog, catalog.resolve(model, tenant), tenant)])
    parts: list[object] = [route.tenant, route.id, route.resource.revision]
    for wanted in route.spec.targets:
        try:
            parts.append(_said(catalog, catalog.resolve(wanted.model, route.tenant), route.tenant))
        except ModelNotFound:
            parts.append(None)  # it may join later: then the answers are others
    return _digest(parts)


def _said(catalog: Catalog, target: ModelTarget, tenant: str) -> list[object]:
    provider = catalog.provider(target.provider_id, tenant)
    config = provider.body.get("config") if provider is not None else None
    kind = provider.body.get("provider_type") if provider is not None else None
    return [target.provider_id, target.resource_id, kind, config]


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
