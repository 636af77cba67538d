"""any-llm's whole answers as OpenAI's JSON."""

from __future__ import annotations

import time
from typing import Any

import orjson
from caravan_contracts.inference import JSON_BODY, Summary, Usage
from caravan_contracts.rerank import Ranked, RerankAnswer, RerankUsage

from caravan_inference.providers.any_llm.request import usage_of
from caravan_inference.providers.base import Call, Result


def chat(answer: Any, call: Call, milliseconds: float) -> Result:
    """Of a ChatCompletion."""
    body = answer.model_dump(exclude_none=True)
    body["id"] = identity = answer.id or f"chatcmpl-{call.context.request_id}"
    body["model"] = call.spec.shown_model
    body["created"] = body.get("created") or int(time.time())
    for choice in body["choices"]:
        message = choice["message"]
        if message.get("tool_calls") and not message.get("content"):
            message["content"] = None
        message.setdefault("content", None)
        choice.setdefault("logprobs", None)
    finish = answer.choices[0].finish_reason if answer.choices else ""
    summary = Summary(identity, answer.model or "", finish or "", usage_of(answer.usage), milliseconds, JSON_BODY)
    return Result(summary, orjson.dumps(body))


def embedding(answer: Any, call: Call, milliseconds: float) -> Result:
    """Of a CreateEmbeddingResponse."""
    rows = [{"object": "embedding", "index": i, "embedding": row.embedding} for i, row in enumerate(answer.data)]
    usage = usage_of(answer.usage) or Usage()
    counted = {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}
    body = {"object": "list", "data": rows, "model": call.spec.shown_model, "usage": counted}
    summary = Summary("", answer.model or "", "", usage, milliseconds, JSON_BODY)
    return Result(summary, orjson.dumps(body))


def rerank(answer: Any, call: Call, milliseconds: float) -> Result:
    """Of a RerankResponse."""
    tokens = (answer.usage.total_tokens if answer.usage is not None else None) or 0
    made = RerankAnswer(
        id=answer.id or f"rerank-{call.context.request_id}",
        model=call.spec.shown_model,
        results=[Ranked(index=row.index, relevance_score=row.relevance_score) for row in answer.results],
        usage=RerankUsage(prompt_tokens=tokens, total_tokens=tokens),
    )
    summary = Summary(made.id, answer.model or "", "", Usage(prompt_tokens=tokens), milliseconds, JSON_BODY)
    return Result(summary, made.to_json())
