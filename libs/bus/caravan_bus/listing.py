"""The models of a catalog as clients read them: the gateway and the workers' entry answer with the same."""

from __future__ import annotations

from typing import Any

from caravan_contracts.errors import NotFound
from caravan_contracts.models import model_object, page
from caravan_contracts.registry import Resource

from caravan_bus.catalog import Catalog


def one(resource: Resource, catalog: Catalog, tenant: str) -> dict[str, Any]:
    """A model with the type of its provider."""
    found = catalog.provider(resource.model.provider_id, tenant)
    return model_object(resource, found.provider.provider_type if found is not None else "")


def all_models(catalog: Catalog, tenant: str) -> dict[str, Any]:
    """Every model the tenant may use."""
    return page([one(resource, catalog, tenant) for resource in catalog.models(tenant)])


def named(model: str, catalog: Catalog, tenant: str) -> dict[str, Any]:
    """The model that is meant by `model`; raises NotFound."""
    target = catalog.resolve(model, tenant)
    if target.resource is None:
        raise NotFound(f"the model {model!r} is passed on to its provider, but not registered")
    return one(target.resource, catalog, tenant)
