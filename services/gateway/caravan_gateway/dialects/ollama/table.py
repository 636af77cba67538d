"""Where Ollama's questions are asked."""

from __future__ import annotations

from typing import Any, Final

from caravan_gateway.asgi import JSON, App, Receive, Scope, Send
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.ollama.dialects import CHAT, EMBED, EMBEDDINGS, GENERATE, Ollama
from caravan_gateway.dialects.route import DialectRoute

_PATHS: Final[dict[str, tuple[Ollama, str, list[str]]]] = {
    "/api/chat": (CHAT, "Chat, streamed unless `stream` is false", ["model", "messages"]),
    "/api/generate": (GENERATE, "Text, streamed unless `stream` is false", ["model", "prompt"]),
    "/api/embed": (EMBED, "Embeddings", ["model", "input"]),
    "/api/embeddings": (EMBEDDINGS, "The embedding of one text", ["model", "prompt"]),
}


def hot_routes(like: CompletionRoute) -> dict[str, App]:
    """By path. `like` is the route of chat completions."""
    return {path: _as_json(DialectRoute(dialect, path, like)) for path, (dialect, _, _) in _PATHS.items()}


def _as_json(route: App) -> App:
    """Ollama's own examples send JSON as curl sends anything: as a form."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
        await route({**scope, "headers": [*headers, JSON]}, receive, send)

    return served


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""
    return {path: {"post": _post(path, summary, needed)} for path, (_, summary, needed) in _PATHS.items()}


def _post(path: str, summary: str, needed: list[str]) -> dict[str, Any]:
    body = {"type": "object", "required": needed, "additionalProperties": True, "description": "Ollama's request"}
    ok: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if "streamed" in summary:
        ok["application/x-ndjson"] = {"schema": {"type": "string"}}
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    return {
        "tags": ["Ollama"],
        "summary": summary,
        "operationId": f"ollama_{path.rpartition('/')[2]}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "Ollama's answer", "content": ok},
            "default": {"description": "an error", "content": {"application/json": {"schema": error}}},
        },
    }
