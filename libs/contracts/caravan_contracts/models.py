"""A model as every client reads it, over HTTP and on the bus.

The list is a superset of what OpenAI's clients and every generation of Llama Stack's read.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from caravan_contracts.registry import ModelType, Resource
from caravan_contracts.routes import RouteSpec

ROUTER: Final = "caravan"
"""Stands where a route, which has no provider of its own, has to name one."""
ROUTE_TYPE: Final = "route"
"""`provider_type` of a route in the list of models."""


class ModelsRequest(BaseModel):
    """``inference.models.<tenant>.<user>``: every model of that tenant, or the one named."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""


def model_object(resource: Resource, provider_type: str = "") -> dict[str, Any]:
    """One model."""
    spec = resource.model
    kind = spec.model_type.value
    return {
        "id": resource.id,
        "object": "model",
        "created": resource.created,
        "owned_by": spec.metadata.get("owned_by", spec.provider_id),
        "identifier": resource.id,
        "model_type": kind,
        "provider_id": spec.provider_id,
        "provider_resource_id": spec.provider_resource_id,
        "type": "model",
        "aliases": spec.aliases,
        "metadata": spec.metadata,
        "custom_metadata": {
            **spec.metadata,
            "model_type": kind,
            "provider_id": spec.provider_id,
            "provider_resource_id": spec.provider_resource_id,
            "provider_type": provider_type,
        },
    }


def route_as_model(resource: Resource, spec: RouteSpec, kind: ModelType) -> dict[str, Any]:
    """A route in the list of models: `custom_metadata` tells what it is and where it leads."""
    return {
        "id": resource.id,
        "object": "model",
        "created": resource.created,
        "owned_by": ROUTER,
        "identifier": resource.id,
        "model_type": kind.value,
        "provider_id": ROUTER,
        "provider_resource_id": resource.id,
        "type": "model",
        "aliases": [],
        "metadata": spec.metadata,
        "custom_metadata": {
            **spec.metadata,
            "model_type": kind.value,
            "provider_id": ROUTER,
            "provider_resource_id": resource.id,
            "provider_type": ROUTE_TYPE,
            "strategy": spec.strategy.value,
            "targets": [target.model for target in spec.targets],
        },
    }


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """OpenAI's list object; everything fits on one page."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": False,
    }
