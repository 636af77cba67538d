"""What a model's name stands for: an answer is good only while that is the same."""

from __future__ import annotations

import hashlib

import orjson
from caravan_bus.catalog import Catalog, ModelTarget
from caravan_contracts.caching import Cache
from caravan_contracts.errors import ModelNotFound

_DEFAULT = Cache()


def policy_of(catalog: Catalog, model: str, tenant: str) -> tuple[Cache, str]:
    """When answers are kept, and a digest of the models, providers and rules that give them. Raises ModelNotFound."""
    route = catalog.route(model, tenant)
    if route is None:
        target = catalog.resolve(model, tenant)
        spec = target.resource.model if target.resource is not None else None
        policy = spec.cache if spec is not None and spec.cache is not None else _DEFAULT
        return policy, _digest([_said(catalog, target, tenant)])
    parts: list[object] = [route.tenant, route.id, route.resource.revision]
    for wanted in route.spec.targets:
        try:
            parts.append(_said(catalog, catalog.resolve(wanted.model, route.tenant), route.tenant))
        except ModelNotFound:
            parts.append(None)  # it may join later: then the answers are others
    return route.spec.cache, _digest(parts)


def _said(catalog: Catalog, target: ModelTarget, tenant: str) -> list[object]:
    provider = catalog.provider(target.provider_id, tenant)
    config = provider.body.get("config") if provider is not None else None
    kind = provider.body.get("provider_type") if provider is not None else None
    return [target.provider_id, target.resource_id, kind, config]


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
