"""Where Google's questions are asked: at paths that name a model, whose ids may hold slashes and colons."""

from __future__ import annotations

from typing import Any, Final

from caravan_bus.responses import AgentRuns

from caravan_gateway.asgi import App, Receive, Scope, Send
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.google.counting import CountRoute
from caravan_gateway.dialects.google.dialects import EMBED, EMBED_MANY, GENERATE, MODEL, STREAM, STREAM_ARRAY
from caravan_gateway.dialects.google.keys import asked_in, with_key
from caravan_gateway.dialects.route import DialectRoute

_PREFIXES: Final = ("/v1beta/models/", "/v1alpha/models/", "/v1/models/")
_COUNT: Final = "countTokens"
_STREAM: Final = "streamGenerateContent"
_DIALECTS: Final = {"generateContent": GENERATE, "embedContent": EMBED, "batchEmbedContents": EMBED_MANY}
_SUMMARIES: Final = {
    "generateContent": ("An answer", ["contents"]),
    _STREAM: ("An answer, streamed: as an array, or with ?alt=sse as events", ["contents"]),
    _COUNT: ("How many tokens a request has", ["contents"]),
    "embedContent": ("The embedding of one text", ["content"]),
    "batchEmbedContents": ("Embeddings", ["requests"]),
}


class Paths:
    """Finds the route of a request."""

    def __init__(self, like: CompletionRoute, runs: AgentRuns) -> None:
        """`like` is the route of chat completions; `runs` asks agents workers."""
        self._like = like
        self._runs = runs

    def find(self, path: str) -> App | None:
        """What serves a POST to `path`, which is decoded; None when it is nothing of Google's."""
        named, _, name = path.rpartition(":")
        if name not in _SUMMARIES:
            return None
        prefix = next((each for each in _PREFIXES if named.startswith(each)), "")
        model = named[len(prefix) :]
        if not model or not prefix:
            return None
        route, parts = f"{prefix}{{model}}:{name}", {MODEL: model}

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            found: App
            if name == _COUNT:
                found = CountRoute(route, self._like, parts, self._runs)
            else:
                dialect = _DIALECTS.get(name) or (STREAM if asked_in(scope, "alt") == "sse" else STREAM_ARRAY)
                found = DialectRoute(dialect, route, self._like, parts)
            await found({**scope, "headers": with_key(scope)}, receive, send)

        return serve


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""
    return {
        f"{prefix}{{model}}:{name}": {"post": _post(prefix.split("/")[1], name)}
        for prefix in _PREFIXES
        for name in _SUMMARIES
    }


def _post(version: str, name: str) -> dict[str, Any]:
    summary, needed = _SUMMARIES[name]
    body = {"type": "object", "required": needed, "additionalProperties": True, "description": "Google's request"}
    ok: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    query = []
    if name == _STREAM:
        ok["text/event-stream"] = {"schema": {"type": "string"}}
        query = [{"name": "alt", "in": "query", "schema": {"type": "string", "enum": ["sse", "json"]}}]
    error = {
        "type": "object",
        "properties": {
            "error": {"type": "object", "required": ["code", "message", "status"], "additionalProperties": True}
        },
    }
    model = {"name": MODEL, "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "tags": ["Google"],
        "summary": summary,
        "operationId": f"google_{name}_{version}",
        "parameters": [model, *query],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "Google's answer", "content": ok},
            "default": {"description": "an error", "content": {"application/json": {"schema": error}}},
        },
    }
