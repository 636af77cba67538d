"""Reranking with an embedding model: the cosine of the query's vector and each document's.

For models that make vectors and have no rerank endpoint of their own, whatever provider serves them: the call becomes
one call of embeddings.
"""

from __future__ import annotations

import asyncio
import base64
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import replace
from operator import mul

import orjson
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.inference import JSON_BODY, Summary, Usage, Verb
from caravan_contracts.rerank import Part, Ranked, RerankAnswer, RerankRequest, RerankUsage, text_of
from pydantic import ValidationError

from caravan_inference.providers.base import Call, Provider, Result

MAX_VECTORS = 64 * 1024 * 1024
"""Largest answer of embeddings, in bytes."""


class _Collected:
    """An Output that keeps what it is given."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> bool:
        self._size += len(data)
        if self._size > MAX_VECTORS:
            raise UpstreamFailed(f"the vectors of the documents are larger than {MAX_VECTORS} bytes")
        self.parts.append(data)
        return True

    async def room(self) -> None:
        """There is always room."""


def read_request(call: Call) -> RerankRequest:
    """The body of a call of `rerank`. Raises InvalidRequest naming the field."""
    try:
        return RerankRequest.model_validate_json(call.body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"'{where}': {first['msg']}", param=where) from error


async def by_embeddings(provider: Provider, call: Call) -> Result:
    """Serve `call` with the embeddings of its model. Raises InvalidRequest for documents that are not text, and
    whatever the provider raises."""
    asked = read_request(call)
    texts = [_text(asked.query, "query")]
    texts += [_text(document, f"documents[{i}]") for i, document in enumerate(asked.documents)]
    body = {"model": call.spec.shown_model, "input": texts, "encoding_format": "base64"}
    collected = _Collected()
    made = await provider.run(replace(call, verb=Verb.EMBEDDINGS, body=orjson.dumps(body)), collected)
    raw = b"".join((*collected.parts, made.tail))
    scores = await asyncio.to_thread(_scores, raw, len(texts))
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[: asked.top_n]
    tokens = made.summary.usage.prompt_tokens if made.summary.usage is not None else 0
    answer = RerankAnswer(
        id=f"rerank-{call.context.request_id}",
        model=call.spec.shown_model,
        results=[
            Ranked(
                index=i,
                relevance_score=scores[i],
                document={"text": texts[i + 1]} if asked.return_documents else None,
            )
            for i in order
        ],
        usage=RerankUsage(prompt_tokens=tokens, total_tokens=tokens),
    )
    summary = Summary(
        response_id=answer.id,
        model=made.summary.model,
        usage=Usage(prompt_tokens=tokens),
        first_token_ms=made.summary.first_token_ms,
        content_type=JSON_BODY,
    )
    return Result(summary, answer.to_json())


def _text(part: Part, where: str) -> str:
    text = text_of(part)
    if not text:
        raise InvalidRequest(f"'{where}' should be text: an embedding model reads nothing else", param=where)
    return text


def _scores(raw: bytes, count: int) -> list[float]:
    """The cosine of the first vector and each other one."""
    vectors: list[array[float] | None] = [None] * count
    try:
        for row in orjson.loads(raw)["data"]:
            vectors[row["index"]] = _vector(row["embedding"])
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UpstreamFailed(f"the provider's embeddings cannot be read: {error!r}") from error
    found = [vector for vector in vectors if vector is not None]
    if len(found) < count or len({len(vector) for vector in found}) != 1:
        raise UpstreamFailed(f"{len(found)} vectors came back for {count} texts, or they differ in length")
    query, *documents = found
    length = _length(query)
    return [_dot(query, vector) / (length * _length(vector) or 1.0) for vector in documents]


def _vector(given: object) -> array[float]:
    """A vector as numbers or as base64 of little-endian float32 (OpenAI's two forms)."""
    if isinstance(given, str):
        made = array("f", base64.b64decode(given, validate=True))
        if sys.byteorder == "big":
            made.byteswap()
        return made
    if isinstance(given, list):
        return array("d", given)
    raise TypeError("an embedding is a list of numbers or base64")


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    total: float = sum(map(mul, a, b))
    return total


def _length(vector: Sequence[float]) -> float:
    return math.sqrt(_dot(vector, vector))
