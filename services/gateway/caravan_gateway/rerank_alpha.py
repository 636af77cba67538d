"""``POST /v1alpha/inference/rerank``, the rerank of Llama Stack and OGX: a codec around the route of ``/v1/rerank``.

It changes the body on its way in and a good answer on its way out; errors, headers, who may ask, limits and metrics
are those of the route inside.
"""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, UpstreamFailed
from caravan_contracts.inference import Verb
from caravan_contracts.rerank import AlphaRerankAnswer, AlphaRerankRequest, RerankAnswer
from pydantic import ValidationError

from caravan_gateway.asgi import Headers
from caravan_gateway.completions import CompletionRoute, Progress
from caravan_gateway.dialects.translated import Translated
from caravan_gateway.source import Source

PATH: Final = "/v1alpha/inference/rerank"


class AlphaRerank(CompletionRoute):
    """The route; a stream it has none."""

    def __init__(self, like: CompletionRoute) -> None:
        super().__init__(Verb.RERANK, PATH, *like.parts)

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        source, stream, more = await super()._begin(progress, _translated(body), headers, context, provider_data)
        return Translated(source, _Ranking()), stream, more


class _Ranking:
    """The answer in this shape."""

    def feed(self, data: bytes) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.feed`."""
        return data

    def end(self) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.end`."""
        return b""

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.whole`."""
        try:
            ranking = RerankAnswer.model_validate_json(answer)
        except ValidationError as error:
            raise UpstreamFailed("the provider answered something that is no ranking") from error
        return AlphaRerankAnswer.of(ranking).model_dump_json().encode()


def _translated(body: bytes) -> bytes:
    """Raises InvalidRequest naming the field."""
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
