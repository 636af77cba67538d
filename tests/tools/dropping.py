"""A server whose connections break in the middle of a call."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class Dropping:
    """Everything but calls of tools goes to `app`; those get the beginning of an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.dropped = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            piece = await receive()
            body += piece.get("body", b"")
            more = piece.get("more_body", False)
        if b"tools/call" in body:
            self.dropped += 1
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", b"text/event-stream"), (b"content-length", b"1000")],
                }
            )
            await send({"type": "http.response.body", "body": b"event: message\ndata: {", "more_body": True})
            raise ConnectionResetError
        given: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return given.pop() if given else await receive()

        await self._app(scope, again, send)
