"""The models of a catalog as clients read them: the gateway and the workers' entry answer with the same.

A route is a model to whoever asks, so it is listed among them.
"""

from __future__ import annotations

from typing import Any

from caravan_contracts.errors import ModelNotFound, NotFound
from caravan_contracts.models import model_object, page, route_as_model
from caravan_contracts.registry import ModelType, Resource

from caravan_bus.catalog import Catalog, Route


def one(resource: Resource, catalog: Catalog, tenant: str) -> dict[str, Any]:
    """A model with the type of its provider."""
    found = catalog.provider(resource.model.provider_id, tenant)
    return model_object(resource, found.provider.provider_type if found is not None else "")


def all_models(catalog: Catalog, tenant: str) -> dict[str, Any]:
    """Every model the tenant may use, then every route; of a name that is both, what answers for it."""
    routes = [route for row in catalog.routes(tenant) if (route := catalog.route(row.id, tenant)) is not None]
    hidden = {route.id for route in routes}
    rows = [one(resource, catalog, tenant) for resource in catalog.models(tenant) if resource.id not in hidden]
    rows += [_route(route, catalog) for route in routes]
    return page(rows)


def named(model: str, catalog: Catalog, tenant: str) -> dict[str, Any]:
    """The route or model that is meant by `model`; raises NotFound."""
    route = catalog.route(model, tenant)
    if route is not None:
        return _route(route, catalog)
    target = catalog.resolve(model, tenant)
    if target.resource is None:
        raise NotFound(f"the model {model!r} is passed on to its provider, but not registered")
    return one(target.resource, catalog, tenant)


def _route(route: Route, catalog: Catalog) -> dict[str, Any]:
    return route_as_model(route.resource, route.spec, _type(route, catalog))


def _type(route: Route, catalog: Catalog) -> ModelType:
    """What the first target that is there is for."""
    for target in route.spec.targets:
        try:
            return catalog.resolve(target.model, route.tenant).model_type
        except ModelNotFound:
            continue
    return ModelType.LLM
