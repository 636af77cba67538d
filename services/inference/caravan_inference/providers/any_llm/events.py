"""any-llm's chunks as OpenAI's events: one id, the client's model name, a role first, tool calls numbered from 0."""

from __future__ import annotations

import time
from typing import Any

import orjson
from caravan_contracts.inference import EVENT_STREAM, Summary, Usage

from caravan_inference.providers.any_llm.request import usage_of


class Events:
    """The events of one stream."""

    def __init__(self, shown_model: str, fallback_id: str) -> None:
        self._shown_model = shown_model
        self._id = ""
        self._fallback_id = fallback_id
        self._created = int(time.time())
        self._model = ""
        self._begun: set[int] = set()
        self._tools: dict[int, dict[int, int]] = {}
        self._usage: Any = None
        self.finish = ""
        """Why the first choice ended; "" while it has not."""

    def encode(self, chunk: Any) -> bytes:
        """The event of one chunk; b"" when there is nothing in it for a client."""
        self._id = self._id or chunk.id or self._fallback_id
        self._model = self._model or chunk.model or ""
        self._usage = chunk.usage or self._usage
        choices = [made for choice in chunk.choices if (made := self._choice(choice))]
        return self._event({"choices": choices}) if choices else b""

    def end(self, include_usage: bool) -> bytes:
        """The usage event, when the client asked for it and the upstream counted."""
        if not include_usage or self._usage is None:
            return b""
        return self._event({"choices": [], "usage": self._usage.model_dump(exclude_none=True)})

    def summary(self, first_token_ms: float) -> Summary:
        """What was learned."""
        usage: Usage | None = usage_of(self._usage)
        return Summary(self._id, self._model, self.finish, usage, first_token_ms, EVENT_STREAM)

    def _choice(self, choice: Any) -> dict[str, Any] | None:
        delta: dict[str, Any] = choice.delta.model_dump(exclude_none=True)
        finish = choice.finish_reason
        logprobs = getattr(choice, "logprobs", None)
        first = choice.index not in self._begun
        if not finish and logprobs is None and not _says_something(delta, first):
            return None
        if first:
            self._begun.add(choice.index)
            delta = {"role": "assistant", **delta}
        else:
            delta.pop("role", None)
        if "tool_calls" in delta:
            self._renumber(choice.index, delta["tool_calls"])
        if finish and not self.finish:
            self.finish = finish
        return {
            "index": choice.index,
            "delta": delta,
            "logprobs": logprobs.model_dump() if logprobs is not None else None,
            "finish_reason": finish,
        }

    def _renumber(self, choice: int, calls: list[dict[str, Any]]) -> None:
        """Some upstreams number their blocks, text included; clients use the number as a place in a list."""
        known = self._tools.setdefault(choice, {})
        for call in calls:
            call["index"] = known.setdefault(call["index"], len(known))

    def _event(self, more: dict[str, Any]) -> bytes:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._shown_model,
        }
        return b"data: " + orjson.dumps({**head, **more}) + b"\n\n"


def _says_something(delta: dict[str, Any], first: bool) -> bool:
    if first:
        return bool(delta)
    return any(value not in ("", []) for name, value in delta.items() if name != "role")
