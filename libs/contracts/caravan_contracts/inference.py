"""Messages of the inference service: what a worker is asked, and what its END frame tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import orjson

from caravan_contracts.errors import InvalidRequest

SERVICE = "inference"
JSON_BODY = "application/json"
EVENT_STREAM = "text/event-stream"
DONE_EVENT = b"data: [DONE]\n\n"
_MAX_TEXT: Final = 512
"""Characters of what a provider says of its answer; an END frame has to fit into one message."""


class Verb(StrEnum):
    """What an inference worker does. The body is the JSON of OpenAI's operation of that name, untouched; OpenAI has
    no `rerank`, so its body is :class:`caravan_contracts.rerank.RerankRequest`. `messages` is Anthropic's Messages API,
    asked of providers that speak it themselves: its JSON in, its events or JSON out, which end with ``message_stop``
    and have no ``[DONE]``."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    MESSAGES = "messages"

    @property
    def end_mark(self) -> bytes:
        """What stands behind the last event of a stream that ended well."""
        return b"" if self is Verb.MESSAGES else DONE_EVENT


MODELS: Final = "models"
"""Asked at a worker's entry for foreign users, beside the verbs: which models there are
(:mod:`caravan_contracts.models`)."""


@dataclass(frozen=True, slots=True)
class CallSpec:
    """What a worker must know of a request without parsing its body (header ``Caravan-Call``)."""

    provider: str
    """Id of the provider that serves it."""
    model: str
    """The provider's own model id."""
    shown_model: str
    """The model id that stands in the answers, and in the body unless `asked_model` does."""
    stream: bool = False
    include_usage: bool = False
    """Whether the client itself asked for the usage chunk of a stream."""
    asked_model: str = ""
    """The name of the route that the client wrote, and that stands in the body; "" when it named the model."""

    @property
    def written_model(self) -> str:
        """What stands in the body."""
        return self.asked_model or self.shown_model

    def encode(self) -> str:
        """One header line: ASCII JSON, no line break can be in it."""
        return _encode_spec(self)

    @staticmethod
    def decode(text: str) -> CallSpec:
        """The opposite of :meth:`encode`; raises InvalidRequest."""
        return _decode_spec(text)


@lru_cache(maxsize=1024)
def _encode_spec(spec: CallSpec) -> str:
    row = [spec.provider, spec.model, spec.shown_model, int(spec.stream), int(spec.include_usage)]
    if spec.asked_model:
        row.append(spec.asked_model)
    line = orjson.dumps(row)
    text = line.decode() if line.isascii() else json.dumps(row, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


@lru_cache(maxsize=1024)
def _decode_spec(text: str) -> CallSpec:
    try:
        provider, model, shown, stream, usage, *more = orjson.loads(text)
        asked = str(more[0]) if more else ""
        return CallSpec(str(provider), str(model), str(shown), bool(stream), bool(usage), asked)
    except (orjson.JSONDecodeError, ValueError, TypeError) as error:
        raise InvalidRequest(f"the header Caravan-Call cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @staticmethod
    def from_openai(usage: object) -> Usage | None:
        """Read an OpenAI `usage` object (chat, completions or embeddings); None when it is none."""
        if not isinstance(usage, dict):
            return None
        read, written = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
        return Usage(
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            _count(read.get("cached_tokens")) if isinstance(read, dict) else 0,
            _count(written.get("reasoning_tokens")) if isinstance(written, dict) else 0,
        )

    @staticmethod
    def from_anthropic(usage: object) -> Usage | None:
        """Read the `usage` of a message; None when it is none. What a cache had, or was given, is input, too."""
        if not isinstance(usage, dict):
            return None
        cached = _count(usage.get("cache_read_input_tokens"))
        details = usage.get("output_tokens_details")
        return Usage(
            _count(usage.get("input_tokens")) + cached + _count(usage.get("cache_creation_input_tokens")),
            _count(usage.get("output_tokens")),
            cached,
            _count(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
        )


def _count(value: object) -> int:
    return max(0, value) if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What the worker learned while it forwarded: metering, caching and audit read this, not the tokens."""

    response_id: str = ""
    model: str = ""
    """The model id the provider reported."""
    finish_reason: str = ""
    usage: Usage | None = None
    first_token_ms: float = 0.0
    """From admission by the worker to the first byte of the provider's answer."""
    content_type: str = EVENT_STREAM

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the END frame."""
        made: dict[str, Any] = {"content_type": self.content_type[:_MAX_TEXT]}
        if self.response_id:
            made["id"] = self.response_id[:_MAX_TEXT]
        if self.model:
            made["model"] = self.model[:_MAX_TEXT]
        if self.finish_reason:
            made["finish_reason"] = self.finish_reason[:_MAX_TEXT]
        if self.first_token_ms:
            made["first_token_ms"] = round(self.first_token_ms, 2)
        if self.usage is not None:
            u = self.usage
            made["usage"] = [
                u.prompt_tokens,
                u.completion_tokens,
                u.cached_tokens,
                u.reasoning_tokens,
            ]
        return made

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Summary:
        """The opposite of :meth:`to_dict`."""
        usage = data.get("usage")
        return Summary(
            response_id=data.get("id", ""),
            model=data.get("model", ""),
            finish_reason=data.get("finish_reason", ""),
            usage=Usage(*usage) if usage is not None else None,
            first_token_ms=data.get("first_token_ms", 0.0),
            content_type=data.get("content_type", EVENT_STREAM),
        )
