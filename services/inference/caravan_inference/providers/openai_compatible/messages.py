"""Anthropic's Messages API, as servers speak it that have it beside OpenAI's: passed on, with the model's name changed.

Nothing is parsed of a stream but the events that begin and end it, and its errors. An answer that does not stream is
parsed once.

Source: Anthropic's API reference, "Messages", "Streaming Messages" and "Errors".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, UpstreamBroke
from caravan_contracts.inference import JSON_BODY, Summary, Usage

from caravan_inference.body import event_object, first_string, rename_own_model
from caravan_inference.providers.base import Result
from caravan_inference.providers.openai_compatible.events import EventForwarder
from caravan_inference.providers.openai_compatible.refusals import in_band_error

PATH: Final = "/messages"
_STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Of errors that come in a stream, which has its own status already."""


def headers(given: Mapping[str, str], context: RequestContext) -> dict[str, str]:
    """`given`, which are those of any request, with version and betas: what the client says of them stands instead of
    what is configured."""
    said = {h.ANTHROPIC_VERSION: context.anthropic_version, h.ANTHROPIC_BETA: context.anthropic_beta}
    said = {name: value for name, value in said.items() if value}
    made = {name: value for name, value in given.items() if name.lower() not in said}
    if not any(name.lower() == h.ANTHROPIC_VERSION for name in (*made, *said)):
        said[h.ANTHROPIC_VERSION] = h.PLAIN_VERSION
    return made | said


def whole(provider: str, body: bytes, shown_model: str, first_ms: float) -> Result:
    """The answer to a call that does not stream. Raises UpstreamBroke for what is no message."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamBroke(f"provider {provider!r} answered with broken JSON: {error}") from error
    if not isinstance(data, dict) or data.get("type") != "message":
        raise _error_in(data, body) or UpstreamBroke(f"provider {provider!r} answered something that is no message")
    model = _text(data, "model")
    usage = Usage.from_anthropic(data.get("usage"))
    summary = Summary(_text(data, "id"), model, _text(data, "stop_reason"), usage, first_ms, JSON_BODY)
    return Result(summary, rename_own_model(body, model, shown_model) if model else body)


class MessageForwarder(EventForwarder):
    """For one stream. The good end is ``message_stop``; a stop reason without it is none."""

    __slots__ = ("_counted", "_reason")

    def __init__(self, shown_model: str) -> None:
        super().__init__(shown_model, keep_usage=True)
        self._counted: dict[str, Any] = {}
        self._reason = ""

    def _settle(self, ready: bytes) -> None:
        """The model's name stands in the first event alone."""

    def _read(self, ready: bytes) -> bytes:
        # brackets add up in most reads: what is no JSON has to be among the others
        if ready.count(b"}\n\n") != ready.count(b"\n\n") or ready.count(b"{") != ready.count(b"}"):
            ready = self._without_malformed(ready)
        # a text may hold the like of it: the type of the event decides
        return self._take(ready) if b'"message_' in ready or b'"error"' in ready else ready

    def _take(self, ready: bytes) -> bytes:
        """Learn from the events that say how the stream goes, and cut it behind the last of them."""
        made: list[bytes] = []
        for event in ready.split(b"\n\n")[:-1]:
            data = event_object(event) if b'"message_' in event or b'"error"' in event else None
            kind = data.get("type") if data is not None else None
            if data is not None and (error := _error_in(data, event[event.find(b"{") :])) is not None:
                self.error = error
                break
            made.append(self._begin(event, data) if data is not None and kind == "message_start" else event)
            if data is not None and kind == "message_delta":
                self._end(data)
            elif kind == "message_stop":
                self.done, self.finish_reason = True, self._reason
                break
        return b"".join(event + b"\n\n" for event in made)

    def _begin(self, event: bytes, data: dict[str, Any]) -> bytes:
        message = data.get("message")
        if isinstance(message, dict):
            self.response_id, self.model = _text(message, "id"), _text(message, "model")
            self._count(message.get("usage"))
        found = first_string(event, b"model")
        if found is None or found[1] == self._shown:
            return event
        raw = found[0]
        put = raw[: raw.index(b'"', raw.index(b":"))] + json.dumps(self._shown).encode()
        return event.replace(raw, put, 1)

    def _end(self, data: dict[str, Any]) -> None:
        delta = data.get("delta")
        if isinstance(delta, dict):
            self._reason = _text(delta, "stop_reason") or self._reason
        self._count(data.get("usage"))

    def _count(self, usage: object) -> None:
        """The numbers at the end are those of all of the answer; what is not said again holds on."""
        if isinstance(usage, dict):
            self._counted |= {name: value for name, value in usage.items() if value is not None}
            self.usage = Usage.from_anthropic(self._counted)


def _error_in(data: Any, raw: bytes) -> CaravanError | None:
    """The error that an event, or an answer, is; None when it is none."""
    if not isinstance(data, dict) or data.get("type", "error") != "error" or not data.get("error"):
        return None
    made = in_band_error(raw) or UpstreamBroke("the provider's stream broke")
    made.status = _STATUSES.get(made.type, made.status)
    return made


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
