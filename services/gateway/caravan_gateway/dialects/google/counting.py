"""``countTokens``: what a request has is counted, and its model is not asked."""

from __future__ import annotations

import orjson
from caravan_bus.responses import AgentRuns
from caravan_contracts.context import RequestContext
from caravan_contracts.response_operations import ResponseOperation, TokenCount

from caravan_gateway import response_operations
from caravan_gateway.asgi import Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.dialects.google.dialects import COUNT
from caravan_gateway.dialects.route import DialectRoute
from caravan_gateway.kept import Origin
from caravan_gateway.source import Source, Whole


class CountRoute(DialectRoute):
    """For one request."""

    def __init__(self, route: str, like: CompletionRoute, path: dict[str, str], runs: AgentRuns) -> None:
        super().__init__(COUNT, route, like, path)
        self._runs = runs

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        asked = self._dialect.read(body, self._path, headers)
        answer = await response_operations.ask(self._runs, ResponseOperation.COUNT_CHAT, asked.body, context)
        count = TokenCount.model_validate_json(answer)
        more = [response_operations.ESTIMATE] if count.estimate else NO_HEADERS
        return Whole(Origin(), orjson.dumps({"totalTokens": count.input_tokens})), False, more
