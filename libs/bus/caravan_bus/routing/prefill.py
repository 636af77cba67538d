"""The request by which another target goes on with a text: what was said so far as the beginning of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from caravan_contracts.inference import Verb

from caravan_bus.routing.targets import Candidate


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a kind of server is told to go on."""

    request: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the last message."""
    strip: bool = False
    """Whether a text that ends in white space is refused."""


DIALECTS: Final[Mapping[str, Dialect]] = {
    "vllm": Dialect({"continue_final_message": True, "add_generation_prompt": False}),
    "ollama": Dialect(),
    "llama.cpp": Dialect(),
    "llama-cpp-server": Dialect(),
    "mistral": Dialect(message={"prefix": True}),
    "anthropic": Dialect(strip=True),
    "any-llm-anthropic": Dialect(strip=True),
}
"""Provider types that are known to go on from a last message of the assistant. OpenAI itself answers anew."""
_PLAIN: Final = Dialect()


def can_prefill(verb: Verb, candidate: Candidate) -> bool:
    """Whether a target goes on from a text: as its route says, else as its type is known to. A prompt to be completed
    is a text that goes on, everywhere."""
    said = candidate.options.prefill
    if said is not None:
        return said
    return verb is Verb.COMPLETIONS or _kind(candidate) in DIALECTS


def prefilled(verb: Verb, body: bytes, text: str, tokens: int, candidate: Candidate) -> bytes | None:
    """`body` asking for what follows on `text`, which is `tokens` long; None when it cannot be asked for."""
    dialect = DIALECTS.get(_kind(candidate), _PLAIN)
    data = orjson.loads(body)
    if not text or (data.get("n") or 1) != 1 or (dialect.strip and text != text.rstrip()):
        return None
    if verb is Verb.CHAT:
        wanted = data.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type", "text") != "text":
            return None  # the grammar of an answer begins with the answer
        data["messages"] = [*data["messages"], {"role": "assistant", "content": text, **dialect.message}]
        data.update(dialect.request)
    else:
        prompt = data["prompt"]
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str) or data.get("echo") or data.get("suffix") or (data.get("best_of") or 1) != 1:
            return None
        data["prompt"] = prompt + text
    for name in ("max_tokens", "max_completion_tokens"):
        if isinstance(data.get(name), int):
            data[name] = max(1, data[name] - tokens)
    return orjson.dumps(data)


def _kind(candidate: Candidate) -> str:
    return candidate.provider_type.partition("::")[2]
