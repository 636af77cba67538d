"""What the engine says, step by step, without its JSON around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from caravan_contracts.errors import CaravanError, ContextLengthExceeded, InvalidRequest, UpstreamFailed
from caravan_contracts.inference import Usage


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of one generation. Most hold text alone."""

    text: str = ""
    reasoning: str = ""
    logprobs: list[dict[str, Any]] | None = None
    finish: str = ""
    """`stop` or `length`, on the last piece with text or after it."""
    usage: Usage | None = None
    """On the very last piece."""


def read(raw: bytes, prompt_field: str) -> Piece | None:
    """One chunk of the engine; None for one that only reports progress.

    Raises what the engine refused with; `prompt_field` is what a prompt that is too long is blamed on.
    """
    data = orjson.loads(raw)
    if "error" in data:
        raise _refusal(data["error"], prompt_field)
    usage = Usage.from_openai(data.get("usage"))
    choices = data["choices"]
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    delta = choice.get("delta", choice)
    text = delta.get("text" if delta is choice else "content") or ""
    reasoning = delta.get("reasoning_content") or ""
    finish = choice.get("finish_reason") or ""
    if not (text or reasoning or finish or usage):
        return None
    logprobs = choice.get("logprobs")
    return Piece(text, reasoning, logprobs["content"] if logprobs else None, finish, usage)


def _refusal(error: dict[str, Any], prompt_field: str) -> CaravanError:
    """The engine's error as ours."""
    message = str(error.get("message", "the engine failed"))
    if error.get("type") == "exceed_context_size_error":
        tokens, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
        return ContextLengthExceeded(
            f"This model's maximum context length is {limit} tokens, prompt and answer together; "
            f"your prompt has {tokens} tokens. Please shorten it.",
            param=prompt_field,
        )
    if error.get("code") == 400:
        return InvalidRequest(f"the engine refused the request: {message}")
    return UpstreamFailed(f"the engine failed: {message}")
