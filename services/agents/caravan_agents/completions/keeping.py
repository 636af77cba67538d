"""What is stored of a request and its answer: the objects that OpenAI's API gives out later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_bus.work.queue import Job, JobRefused
from caravan_contracts import headers as h
from caravan_contracts.completions import Head, decode_job, metadata_problem
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest

from caravan_agents.completions.assembly import NotAnAnswer, assemble

INPUT_BYTES: Final = 256 * 1024
"""Llama Stack's clients read the request's messages in the object itself; more than this are at /messages alone."""
_ASKED: Final = (
    "tool_choice",
    "seed",
    "top_p",
    "temperature",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "response_format",
)
"""Fields of the request that the stored object shows."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One completion as it goes into the tables."""

    tenant: str
    job: str
    id: str
    answered: int
    """Unix microseconds at which its caller had the answer."""
    model: str
    metadata: dict[str, str]
    object: bytes
    messages: list[bytes]


def read(job: Job) -> Kept:
    """What a job holds. Raises JobRefused for one that is no completion."""
    try:
        head, request_bytes, answer_bytes = decode_job(job.data)
        tenant = Principal.decode(job.headers.get(h.PRINCIPAL, "")).tenant
        request = _object(request_bytes, "request")
        answer = assemble(answer_bytes) if head.stream else _object(answer_bytes, "answer")
    except (InvalidRequest, NotAnAnswer) as error:
        raise JobRefused(str(error)) from error
    if not isinstance(answer.get("choices"), list):
        raise JobRefused("the answer has no choices")
    name = _text(answer.get("id")) or f"chatcmpl-{job.id}"
    created = answer.get("created")
    if not isinstance(created, int) or not 0 < created < 2**53:
        created = int(head.at)
    model = _text(answer.get("model")) or head.model
    told = {**answer, "id": name, "object": "chat.completion", "created": created, "model": model}
    if told.get("usage") is None and head.usage is not None:
        told["usage"] = _usage(head)
    messages = [orjson.dumps(message) for message in request.get("messages") or () if isinstance(message, dict)]
    told["request_id"] = job.headers.get(h.REQUEST_ID, "")
    told["input_user"] = request.get("user")
    told.update((name, request.get(name)) for name in _ASKED)
    if sum(map(len, messages)) <= INPUT_BYTES:
        told["input_messages"] = request.get("messages")
    told.pop("metadata", None)
    return Kept(
        tenant=tenant,
        job=job.id,
        id=name,
        answered=int(head.at * 1e6),
        model=_text(request.get("model")) or model,
        metadata=_metadata(request.get("metadata")),
        object=orjson.dumps(told),
        messages=messages,
    )


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        made = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotAnAnswer(f"the {what} is no JSON: {error}") from error
    if not isinstance(made, dict):
        raise NotAnAnswer(f"the {what} is no JSON object")
    return made


def _metadata(given: Any) -> dict[str, str]:
    return given if given and not metadata_problem(given) else {}


def _text(value: Any) -> str:
    """For a column: PostgreSQL takes no zero byte."""
    return value.replace("\0", "\ufffd")[:512] if isinstance(value, str) else ""


def _usage(head: Head) -> dict[str, Any]:
    prompt, completion, cached, reasoning = head.usage or (0, 0, 0, 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
