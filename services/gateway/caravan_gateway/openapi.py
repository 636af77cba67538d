"""The hot routes in the OpenAPI document: they are plain ASGI, so FastAPI does not know them by itself."""

from __future__ import annotations

from typing import Any

from caravan_contracts.inference import Verb
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from caravan_gateway import rerank_alpha, response_operations, responses
from caravan_gateway.dialects import table
from caravan_gateway.files import documented

ROUTES = {
    "/v1/chat/completions": Verb.CHAT,
    "/v1/completions": Verb.COMPLETIONS,
    "/v1/embeddings": Verb.EMBEDDINGS,
    "/v1/rerank": Verb.RERANK,
}
_TEXT = {
    Verb.CHAT: ("Chat completion, streamed or whole", ["messages"]),
    Verb.COMPLETIONS: ("Text completion, streamed or whole", ["prompt"]),
    Verb.EMBEDDINGS: ("Embeddings", ["input"]),
    Verb.RERANK: ("Documents in the order in which they fit a query", ["query", "documents"]),
}
_STREAMING = (Verb.CHAT, Verb.COMPLETIONS)
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` include the hot routes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            made.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
            for path, verb in ROUTES.items():
                made["paths"].setdefault(path, {})["post"] = _operation(verb)
            made["paths"].update(rerank_alpha.document())
            made["paths"].update(response_operations.document())
            made["paths"].update(table.document())
            for path, item in documented.document().items():
                made["paths"].setdefault(path, {}).update(item)
            made["paths"].setdefault(responses.PATH, {})["post"] = _described(
                "response", "Responses", "A response, streamed or whole", ["input"], True
            )
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _operation(verb: Verb) -> dict[str, Any]:
    summary, needed = _TEXT[verb]
    return _described(verb.value, "Inference", summary, needed, verb in _STREAMING)


def _described(name: str, tag: str, summary: str, needed: list[str], streams: bool) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["model", *needed],
        "properties": {
            "model": {"type": "string", "description": "one of GET /v1/models"},
            **{name: {} for name in needed},
        },
        "additionalProperties": True,
        "description": "OpenAI's request; fields that Caravan does not know pass through to the provider",
    }
    if streams:
        body["properties"]["stream"] = {"type": "boolean", "default": False}  # type: ignore[index]
    error = {
        "description": "an error",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    ok: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if streams:
        ok["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "tags": [tag],
        "summary": summary,
        "operationId": f"create_{name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "OpenAI's answer", "content": ok}, "default": error},
    }
