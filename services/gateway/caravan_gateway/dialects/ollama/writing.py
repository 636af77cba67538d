"""Answers in Ollama's words: lines of JSON, the last of which has ``done``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from caravan_gateway.dialects.calls import Calls
from caravan_gateway.dialects.chunks import Chunks, answer_of, choices_of, said

_REASONS: Final = {"tool_calls": "stop", "function_call": "stop", "": "stop"}
"""Why an answer ended, where Ollama's word is another."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What the numbers of an answer are taken from."""

    nanoseconds: Callable[[], int] = time.perf_counter_ns
    now: Callable[[], str] = lambda: datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a request stands in its answer."""

    model: str
    """As the client wrote it."""
    thinking: bool = True
    """Whether the client wants to read what the model thinks."""


class TextWriter:
    """For one answer of ``/api/generate``."""

    def __init__(self, shown: Shown, clock: Clock | None = None) -> None:
        self._shown = shown
        self._clock = clock or Clock()
        self._chunks = Chunks()
        self._calls = Calls()
        self._began = self._clock.nanoseconds()
        self._first = 0
        self._reason = ""
        self._usage: dict[str, Any] = {}

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Writer.feed`."""
        return b"".join(self._line(chunk) for chunk in self._chunks.feed(data))

    def end(self) -> bytes:
        """See :meth:`Writer.end`. Raises UpstreamFailed for a call without arguments that can be read."""
        calls = self._said("", "", self._calls_made())
        before = _line({**self._head(), **calls, "done": False}) if calls else b""
        return before + _line({**self._head(), **self._last(), **self._done()})

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        data = answer_of(answer, "choices")
        choice = choices_of(data)[0]
        message = choice.get("message") or {}
        self._calls.add(message.get("tool_calls"))
        self._note(choice, data)
        thinking, text = self._heard(message)
        words = self._said(text or choice.get("text") or "", thinking, self._calls_made()) or self._last()
        return orjson.dumps({**self._head(), **words, **self._done(), **_logprobs(choice)})

    def _said(self, text: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
        """What the model says, in the fields of this answer; nothing when it says nothing."""
        made: dict[str, Any] = {"response": text}
        if thinking:
            made["thinking"] = thinking
        if calls:
            made["tool_calls"] = calls
        return made if text or thinking or calls else {}

    def _last(self) -> dict[str, Any]:
        return {"response": ""}

    def _line(self, chunk: dict[str, Any]) -> bytes:
        """The line of a chunk; none for one that says nothing yet."""
        choice = next(iter(choices_of(chunk)), {})
        delta = choice.get("delta") or {}
        self._note(choice, chunk)
        self._calls.add(delta.get("tool_calls"))
        thinking, text = self._heard(delta)
        words = self._said(text or choice.get("text") or "", thinking, [])
        return _line({**self._head(), **words, "done": False, **_logprobs(choice)}) if words else b""

    def _note(self, choice: dict[str, Any], data: dict[str, Any]) -> None:
        self._first = self._first or self._clock.nanoseconds()
        self._reason = choice.get("finish_reason") or self._reason
        self._usage = data.get("usage") or self._usage

    def _heard(self, message: dict[str, Any]) -> tuple[str, str]:
        """Thoughts that the client wants to read, and words."""
        thinking, text = said(message)
        return thinking if self._shown.thinking else "", text

    def _calls_made(self) -> list[dict[str, Any]]:
        return [
            {"id": call.id, "function": {"index": at, "name": call.name, "arguments": call.given()}}
            for at, call in enumerate(self._calls.take(self._reason))
        ]

    def _head(self) -> dict[str, Any]:
        return {"model": self._shown.model, "created_at": self._clock.now()}

    def _done(self) -> dict[str, Any]:
        """What ends an answer; durations are in nanoseconds, as they were seen from here."""
        now = self._clock.nanoseconds()
        first = self._first or now
        return {
            "done": True,
            "done_reason": _REASONS.get(self._reason, self._reason),
            "total_duration": now - self._began,
            "load_duration": 0,
            "prompt_eval_count": self._usage.get("prompt_tokens") or 0,
            "prompt_eval_duration": first - self._began,
            "eval_count": self._usage.get("completion_tokens") or 0,
            "eval_duration": now - first,
        }


class ChatWriter(TextWriter):
    """For one answer of ``/api/chat``."""

    def _said(self, text: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
        words = super()._said(text, thinking, calls)
        return {"message": {"role": "assistant", "content": words.pop("response"), **words}} if words else {}

    def _last(self) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": ""}}


def _logprobs(choice: dict[str, Any]) -> dict[str, Any]:
    found = choice.get("logprobs")
    tokens = found.get("content") if isinstance(found, dict) else None
    return {"logprobs": tokens} if tokens else {}


def _line(data: dict[str, Any]) -> bytes:
    return orjson.dumps(data) + b"\n"
