"""Deltas as they go to the client: events of a stream, or one body."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson

from caravan_inference.providers.llama_cpp.deltas import Delta


@dataclass(frozen=True, slots=True)
class Head:
    """The fields every event and every body of one answer begin with."""

    chat: bool
    model: str
    fingerprint: str
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    @staticmethod
    def new(*, chat: bool, model: str, fingerprint: str) -> Head:
        """With an id of its own."""
        made = uuid.uuid4().hex
        return Head(chat, model, fingerprint, f"chatcmpl-{made}" if chat else f"cmpl-{made}")

    def to_dict(self, object: str) -> dict[str, Any]:
        """In OpenAI's order."""
        return {
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


class Events:
    """The answer as SSE events."""

    def __init__(self, head: Head, include_usage: bool) -> None:
        self._chat = head.chat
        self._head = head.to_dict("chat.completion.chunk" if head.chat else "text_completion")
        self._usage = {"usage": None} if include_usage else {}

    def encode(self, deltas: list[Delta]) -> bytes:
        """One event per delta."""
        return b"".join(self._event([self._choice(delta)], self._usage) for delta in deltas)

    def end(self, usage: dict[str, Any]) -> bytes:
        """The usage event, when the client asked for it."""
        return self._event([], {"usage": usage}) if self._usage else b""

    def _choice(self, delta: Delta) -> dict[str, Any]:
        said = {"delta": delta.content} if self._chat else delta.content
        return {
            "index": delta.index,
            **said,
            "logprobs": delta.logprobs,
            "finish_reason": delta.finish or None,
        }

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._head, "choices": choices, **usage}) + b"\n\n"


class Body:
    """The answer as one JSON object: the same deltas, put together."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._choices: dict[int, _Whole] = {}

    def add(self, deltas: list[Delta]) -> None:
        """Take what is ready."""
        for delta in deltas:
            self._choices.setdefault(delta.index, _Whole()).add(delta)

    def end(self, usage: dict[str, Any]) -> bytes:
        """The whole."""
        choices = [whole.to_choice(i, self._head.chat) for i, whole in sorted(self._choices.items())]
        head = self._head.to_dict("chat.completion" if self._head.chat else "text_completion")
        return orjson.dumps({**head, "choices": choices, "usage": usage})


@dataclass(slots=True)
class _Whole:
    """One choice, growing."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    call: dict[str, Any] | None = None
    arguments: list[str] = field(default_factory=list)
    logprobs: dict[str, list[Any] | None] | None = None
    finish: str = ""

    def add(self, delta: Delta) -> None:
        content = delta.content
        self.text.append(content.get("content") or content.get("text") or "")
        self.reasoning.append(content.get("reasoning_content") or "")
        for call in content.get("tool_calls", ()):
            if "id" in call:
                self.call = call
            self.arguments.append(call["function"]["arguments"])
        if delta.logprobs is not None:
            self._add_logprobs(delta.logprobs)
        self.finish = delta.finish or self.finish

    def _add_logprobs(self, more: dict[str, list[Any] | None]) -> None:
        if self.logprobs is None:
            self.logprobs = {name: list(rows) if rows is not None else None for name, rows in more.items()}
            return
        for name, rows in more.items():
            known = self.logprobs[name]
            if known is not None and rows is not None:
                known.extend(rows)

    def to_choice(self, index: int, chat: bool) -> dict[str, Any]:
        text = "".join(self.text)
        said = {"message": self._message(text)} if chat else {"text": text}
        return {"index": index, **said, "logprobs": self.logprobs, "finish_reason": self.finish or None}

    def _message(self, text: str) -> dict[str, Any]:
        made: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if "".join(self.reasoning):
            made["reasoning_content"] = "".join(self.reasoning)
        if self.call is not None:
            function = {"name": self.call["function"]["name"], "arguments": "".join(self.arguments)}
            made["content"] = text or None
            made["tool_calls"] = [{"id": self.call["id"], "type": "function", "function": function}]
        return made
