"""What tools ask Ollama beside a model: which models there are, what they can do, and whether anybody is there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from caravan_bus import listing
from caravan_contracts.context import Principal
from caravan_contracts.errors import CaravanError
from caravan_contracts.registry import ModelType
from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from pydantic import AliasChoices, BaseModel, Field

from caravan_gateway.bodies import documented, reading
from caravan_gateway.dialects.ollama.dialects import body_of
from caravan_gateway.dialects.plain import speaking
from caravan_gateway.resources import Resources

VERSION: Final = "0.12.11"
"""The version of Ollama whose API this is: tools ask for one that is new enough for them."""
_FOR_EVER: Final = "9999-12-31T23:59:59Z"
_NEVER_HERE: Final = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs/{digest}")


class NotOffered(CaravanError):
    """What Ollama does to the files of its models."""

    status = 501
    type = "invalid_request_error"
    code = "not_offered"


class Show(BaseModel):
    """Body of ``POST /api/show``."""

    model: str = Field(validation_alias=AliasChoices("model", "name"), min_length=1, max_length=256)


def router(resources: Resources) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Ollama"], route_class=speaking(body_of))
    catalog, who, read_show = resources.catalog, resources.who, reading(Show)

    def rows(principal: Principal) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = listing.all_models(catalog(), principal.tenant)["data"]
        return found

    @routes.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def greet() -> Response:
        return PlainTextResponse("Ollama is running")

    @routes.head("/api/version", include_in_schema=False)
    @routes.get("/api/version", summary="The version of Ollama's API")
    async def version() -> dict[str, str]:
        return {"version": VERSION}

    @routes.head("/api/tags", include_in_schema=False)
    @routes.get("/api/tags", summary="Every model")
    async def tags(principal: Principal = Depends(who)) -> dict[str, Any]:
        return {"models": [_tag(row) for row in rows(principal)]}

    @routes.get("/api/ps", summary="The models that answer without being loaded first: every one")
    async def ps(principal: Principal = Depends(who)) -> dict[str, Any]:
        return {"models": [_loaded(row) for row in rows(principal)]}

    @routes.post("/api/show", summary="One model", openapi_extra=documented(Show))
    async def show(principal: Principal = Depends(who), body: Show = Depends(read_show)) -> dict[str, Any]:
        return _shown(listing.named(body.model, catalog(), principal.tenant))

    async def refuse(principal: Principal = Depends(who)) -> None:
        raise NotOffered(
            "models are not pulled, pushed or made here: name a provider that has them in the stack file, or register "
            "one with POST /v1/models"
        )

    for path in _NEVER_HERE:
        routes.add_api_route(path, refuse, methods=["POST", "DELETE", "HEAD"], include_in_schema=False)
    return routes


def _tag(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``/v1/models`` as Ollama lists it. Sizes of files are the provider's, and nobody knows them here."""
    return {
        "name": row["id"],
        "model": row["id"],
        "modified_at": _time(row),
        "size": 0,
        "digest": hashlib.sha256(row["id"].encode()).hexdigest(),
        "details": _details(row),
    }


def _loaded(row: dict[str, Any]) -> dict[str, Any]:
    listed = _tag(row)
    del listed["modified_at"]
    length = {"context_length": row["metadata"]["context_length"]} if _known(row, "context_length") else {}
    return {**listed, "expires_at": _FOR_EVER, "size_vram": 0, **length}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    info: dict[str, Any] = {"general.architecture": "caravan", "general.basename": row["id"]}
    for name, called in (("context_length", "context_length"), ("embedding_dimension", "embedding_length")):
        if _known(row, name):
            info[f"caravan.{called}"] = row["metadata"][name]
    return {
        "modelfile": f"# {row['id']} is served by {row['provider_id']}\nFROM {row['id']}\n",
        "parameters": "",
        "template": "",
        "details": _details(row),
        "model_info": info,
        "capabilities": _capabilities(row),
        "modified_at": _time(row),
    }


def _capabilities(row: dict[str, Any]) -> list[str]:
    """What the model's metadata say, or else what most models of its type can: nobody asked it."""
    said = row["metadata"].get("capabilities")
    if isinstance(said, list) and all(isinstance(each, str) for each in said):
        return said
    return ["completion", "tools"] if row["model_type"] == ModelType.LLM.value else [row["model_type"]]


def _details(row: dict[str, Any]) -> dict[str, Any]:
    said = row["metadata"]
    family = str(said.get("family") or row["provider_id"])
    return {
        "parent_model": "",
        "format": str(said.get("format") or ""),
        "family": family,
        "families": [family],
        "parameter_size": str(said.get("parameter_size") or ""),
        "quantization_level": str(said.get("quantization_level") or ""),
    }


def _known(row: dict[str, Any], name: str) -> bool:
    return isinstance(row["metadata"].get(name), int)


def _time(row: dict[str, Any]) -> str:
    return datetime.fromtimestamp(row["created"], UTC).isoformat().replace("+00:00", "Z")
