"""``POST /v1alpha/inference/rerank``, the rerank of Llama Stack and OGX: a codec around the route of ``/v1/rerank``.

It changes the body on its way in and a good answer on its way out; errors, headers, who may ask, limits and metrics
are those of the route inside.
"""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import CaravanError, InvalidRequest, UpstreamFailed
from caravan_contracts.rerank import AlphaRerankAnswer, AlphaRerankRequest, RerankAnswer
from pydantic import ValidationError

from caravan_gateway import asgi
from caravan_gateway.asgi import App, Event, Receive, Scope, Send
from caravan_gateway.settings import Settings

PATH: Final = "/v1alpha/inference/rerank"
_LENGTH: Final = b"content-length"


class AlphaRerank:
    """Wraps the route whose body and answer are in the shape of the bus."""

    def __init__(self, route: App, settings: Settings) -> None:
        self._route = route
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one POST."""
        limit, timeout = self._settings.max_body_bytes, self._settings.body_timeout
        body = b""
        read = False

        async def receive_translated() -> Event:
            nonlocal body, read
            if read:
                return await receive()
            read = True
            body = _translated(await asgi.read_body(dict(scope["headers"]), receive, limit, timeout))
            return {"type": "http.request", "body": body, "more_body": False}

        answer = _Answer(send)
        headers = [pair for pair in scope["headers"] if pair[0] != _LENGTH]
        await self._route({**scope, "headers": headers}, receive_translated, answer.send)


class _Answer:
    """Holds the start of an answer back until its body is there, for the length changes with it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Event | None = None
        self._parts: list[bytes] = []

    async def send(self, event: Event) -> None:
        """One event of the route inside."""
        if event["type"] == "http.response.start" and event["status"] == 200:
            self._start = event
            return
        if self._start is None:
            await self._send(event)
            return
        self._parts.append(event.get("body", b""))
        if event.get("more_body", False):
            return
        start, self._start = self._start, None
        try:
            made = (
                AlphaRerankAnswer.of(RerankAnswer.model_validate_json(b"".join(self._parts))).model_dump_json().encode()
            )
        except ValidationError:
            error = UpstreamFailed("the provider answered something that is no ranking")
            start["status"], made = error.status, error.to_json()
        sized = [(name, value) for name, value in start["headers"] if name != _LENGTH]
        start["headers"] = [*sized, (_LENGTH, str(len(made)).encode())]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": made})


def _translated(body: bytes) -> bytes:
    """Raises InvalidRequest naming the field; raised inside the route, which answers with it."""
    try:
        asked = AlphaRerankRequest.model_validate_json(body)
    except ValidationError as error:
        raise _wrong(error) from error
    return asked.to_request().model_dump_json(exclude_none=True).encode()


def _wrong(error: ValidationError) -> CaravanError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidRequest(f"'{where}': {first['msg']}" if where else str(first["msg"]), param=where or None)


def document() -> dict[str, Any]:
    """The route in the OpenAPI document."""
    return {PATH: described("create_rerank_alpha")}


def described(name: str) -> dict[str, Any]:
    """What stands there of a path at which it answers; `name` is that of the operation."""
    return {
        "post": {
            "tags": ["Inference"],
            "summary": "Rerank, in the shape of Llama Stack and OGX",
            "operationId": name,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": AlphaRerankRequest.model_json_schema()}},
            },
            "responses": {
                "200": {
                    "description": "best first",
                    "content": {"application/json": {"schema": AlphaRerankAnswer.model_json_schema()}},
                },
                "default": {
                    "description": "an error",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }
    }
