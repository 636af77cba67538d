"""One path of a dialect, as a hot route."""

from __future__ import annotations

import asyncio
from typing import cast

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError

from caravan_gateway.asgi import Headers, Receive, Scope, Send
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.cutting import cut_off
from caravan_gateway.dialects.base import Dialect, Writer
from caravan_gateway.dialects.translated import Translated
from caravan_gateway.kept import Origin
from caravan_gateway.source import Source, Whole


class DialectRoute(CompletionRoute):
    """As a route of OpenAI's, in other words."""

    def __init__(self, dialect: Dialect, route: str, like: CompletionRoute, path: dict[str, str] | None = None) -> None:
        """`route` is its name in metrics and traces; `path` is what the URL named, for a route that is made for one
        request."""
        super().__init__(dialect.verb, route, *like.parts)
        self._dialect = dialect
        self._path = path or {}
        self._stream_headers = dialect.stream_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one POST; a gateway that ends says so in the dialect's words."""
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            dialect = self._dialect
            await cut_off(send, dialect.error, lambda error: dialect.event(error, None), self.id_headers)

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        asked = self._dialect.read(body, self._path, headers)
        progress.writer = asked.writer
        if progress.watched is not None:
            progress.watched.ping_body = asked.ping
        if asked.answer is not None:
            return Translated(Whole(Origin(), asked.answer), asked.writer), asked.stream, NO_HEADERS
        begin = super()._begin
        if asked.verb is not None and asked.verb is not self._verb:
            begin = CompletionRoute(asked.verb, self._route, *self.parts)._begin
        source, _, more = await begin(progress, asked.body, headers, context, provider_data)
        return Translated(source, asked.writer), asked.stream, more

    def _event(self, error: CaravanError, progress: Progress) -> bytes:
        return self._dialect.event(error, cast("Writer | None", progress.writer))

    def _error(self, error: CaravanError, request_id: str) -> bytes:
        return self._dialect.error(error, request_id)
