"""The bytes of answers: a stream's events, and the body of an answer that is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from caravan.failover_check.scripts import PROMPT_TOKENS, Words


class Speaking:
    """One answer of one provider."""

    def __init__(self, provider: str, model: str, script: Words, prefix: str) -> None:
        words = script.words()
        whole = "".join(words)
        self._id = f"chatcmpl-{provider}"
        self._provider = provider
        self._model = model
        self._script = script
        self._prefixed = 0
        if prefix and whole.startswith(prefix):
            rest = whole[len(prefix) :]
            self._prefixed = len(words) - len(rest.split())
            words = [f"{word} " for word in rest.split(" ") if word]
        self.words = words

    def usage(self) -> dict[str, int]:
        """As this provider counts."""
        prompt = PROMPT_TOKENS[self._provider] + self._prefixed
        return {
            "prompt_tokens": prompt,
            "completion_tokens": len(self.words),
            "total_tokens": prompt + len(self.words),
        }

    def whole(self) -> dict[str, Any]:
        """Without streaming."""
        message = {"role": "assistant", "content": "".join(self.words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": self._id, "object": "chat.completion", "created": 1, "model": self._model}
        return {**head, "choices": [choice], "usage": self.usage()}

    def events(self, include_usage: bool) -> Iterator[tuple[bytes, bool]]:
        """Each event, and whether it is a word."""
        for number, word in enumerate(self.words, 1):
            if number == self._script.bad_event:
                yield b'data: {"id":"chatcmpl","choices":[{"delta":{"cont\n\n', False
            delta = {"role": "assistant", "content": word} if number == 1 else {"content": word}
            yield self._event([{"index": 0, "delta": delta, "finish_reason": None}]), True
        yield self._event([{"index": 0, "delta": {}, "finish_reason": "stop"}]), False
        if include_usage:
            yield self._event([], usage=self.usage()), False
        if self._script.done:
            yield b"data: [DONE]\n\n", False

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": self._id, "object": "chat.completion.chunk", "created": 1, "model": self._model}
        return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"
