"""Rerank endpoints of OpenAI-compatible servers: there is no OpenAI shape, so each kind has a dialect.

The request goes on as it came where the dialect is Cohere's (Jina, vLLM, llama.cpp, Together …); answers of all of
them are brought into one shape.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from caravan_contracts.errors import DeadlineExceeded, InvalidRequest, UpstreamBroke, UpstreamFailed
from caravan_contracts.inference import JSON_BODY, Summary, Usage
from caravan_contracts.rerank import Ranked, RerankAnswer, RerankUsage, text_of

from caravan_inference.body import rename_model
from caravan_inference.providers.base import Call, Result
from caravan_inference.providers.openai_compatible.answer import Answer, Client, DeadlinePassed, time_left
from caravan_inference.providers.openai_compatible.refusals import refusal

Dialect = Literal["cohere", "tei", "nvidia"]
MAX_ANSWER = 64 * 1024 * 1024
_ROWS = ("results", "data", "rankings")
_SCORES = ("relevance_score", "score", "logit")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where it is and how it is spoken to."""

    provider: str
    """The provider's id, for messages."""
    path: str
    dialect: Dialect


async def rerank(call: Call, client: Client | None, headers: Mapping[str, str], endpoint: Endpoint) -> Result:
    """Serve one call. Raises the provider's refusals, UpstreamFailed, DeadlineExceeded."""
    if client is None:
        raise RuntimeError("the provider was not started")
    began = time.perf_counter()
    body = write_request(call, endpoint.dialect)
    try:
        answer = await client.post(endpoint.path, body, headers, time_left(call.context))
        try:
            raw = await _bounded(answer)
        finally:
            client.release(answer)
    except TimeoutError as error:
        if isinstance(error, DeadlinePassed) or call.context.remaining <= 0:
            raise DeadlineExceeded("the request's time is over while the provider worked on it") from error
        raise UpstreamFailed(
            f"provider {endpoint.provider!r} did not answer in time", code="upstream_timeout"
        ) from error
    except OSError as error:
        raise UpstreamFailed(f"provider {endpoint.provider!r} cannot be reached: {error}") from error
    if answer.status >= 300:
        raise refusal(endpoint.provider, answer.status, answer.headers, raw)
    return read_answer(call, raw, (time.perf_counter() - began) * 1000, endpoint.provider)


def write_request(call: Call, dialect: Dialect) -> bytes:
    """The provider's JSON. Raises InvalidRequest for documents that a dialect cannot say."""
    if dialect == "cohere":
        return rename_model(call.body, call.spec.written_model, call.spec.model)
    asked = orjson.loads(call.body)
    query = _only_text(asked["query"], "query")
    texts = [_only_text(document, f"documents[{i}]") for i, document in enumerate(asked["documents"])]
    if dialect == "tei":
        return orjson.dumps({"query": query, "texts": texts, "truncate": True})
    passages = [{"text": text} for text in texts]
    return orjson.dumps({"model": call.spec.model, "query": {"text": query}, "passages": passages})


def read_answer(call: Call, raw: bytes, milliseconds: float, provider: str) -> Result:
    """Whatever came back, in our shape: best first, no more than were asked for. Raises UpstreamBroke."""
    asked = orjson.loads(call.body)
    try:
        data = orjson.loads(raw)
        rows = data if isinstance(data, list) else next(data[name] for name in _ROWS if name in data)
        results = [_ranked(row) for row in rows]
        if not all(0 <= row.index < len(asked["documents"]) for row in results):
            raise ValueError("an index is outside the documents")
    except (orjson.JSONDecodeError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise UpstreamBroke(f"provider {provider!r} answered something that is no ranking: {error!r}") from error
    facts: dict[str, Any] = data if isinstance(data, dict) else {}
    results.sort(key=lambda row: -row.relevance_score)
    tokens = _tokens(facts)
    made = RerankAnswer(
        id=str(facts.get("id") or f"rerank-{call.context.request_id}"),
        model=call.spec.shown_model,
        results=results[: asked.get("top_n")],
        usage=RerankUsage(prompt_tokens=tokens, total_tokens=tokens),
    )
    summary = Summary(
        response_id=made.id,
        model=str(facts.get("model") or call.spec.model),
        usage=Usage(prompt_tokens=tokens),
        first_token_ms=milliseconds,
        content_type=JSON_BODY,
    )
    return Result(summary, made.to_json())


def _ranked(row: dict[str, Any]) -> Ranked:
    score = next(row[name] for name in _SCORES if name in row)
    document = row.get("document", row.get("text"))
    if isinstance(document, str):
        document = {"text": document}
    return Ranked(index=row["index"], relevance_score=score, document=document)


def _tokens(facts: Mapping[str, Any]) -> int:
    """vLLM and Jina say it under `usage`, Cohere under `meta`."""
    usage = facts.get("usage")
    if isinstance(usage, dict):
        return next((n for name in ("total_tokens", "prompt_tokens") if isinstance(n := usage.get(name), int)), 0)
    meta = facts.get("meta")
    tokens = meta.get("tokens") if isinstance(meta, dict) else None
    count = tokens.get("input_tokens") if isinstance(tokens, dict) else None
    return int(count) if isinstance(count, int | float) else 0


def _only_text(part: Any, where: str) -> str:
    text = text_of(part)
    if text is None:
        raise InvalidRequest(f"'{where}' should be text: this provider ranks nothing else", param=where)
    return text


async def _bounded(answer: Answer) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := await answer.read():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise UpstreamFailed(f"the provider's answer is larger than {MAX_ANSWER} bytes")
        parts.append(chunk)
    return b"".join(parts)
