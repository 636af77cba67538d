"""The paths that ask models in the OpenAPI document: they are plain ASGI, so FastAPI does not know them."""

from __future__ import annotations

from typing import Any, Final

_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_EVENTS: Final = {"text/event-stream": {"schema": {"type": "string"}}}


def posted(path: str, summary: str, model: str, needed: str, *, streams: bool) -> dict[str, Any]:
    """One path: `model` is what its generation calls the model, `needed` the other field that has to be there."""
    body = {
        "type": "object",
        "required": [model, needed],
        "additionalProperties": True,
        "description": "Llama Stack's request",
    }
    ok = {"application/json": {"schema": {"type": "object"}}, **(_EVENTS if streams else {})}
    name = path.strip("/").replace("/", "_").replace("-", "_")
    return {
        "post": {
            "tags": ["Llama Stack"],
            "summary": summary,
            "operationId": f"llama_stack_{name}",
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {"description": "Llama Stack's answer", "content": ok},
                "default": {"description": "an error", "content": _ERROR},
            },
        }
    }
