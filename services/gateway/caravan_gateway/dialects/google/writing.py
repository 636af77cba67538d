"""Answers in Google's words."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError

from caravan_gateway.dialects.calls import Calls
from caravan_gateway.dialects.chunks import Chunks, answer_of, choices_of, said
from caravan_gateway.dialects.google import errors

_REASONS: Final = {
    "": "STOP",
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
_BLOCKED: Final = {"promptFeedback": {"blockReason": "SAFETY"}}
"""An answer that a filter kept back before its first word."""


class _Candidate:
    """One of several answers."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.reason = ""
        self.spoke = False

    def parts(self, message: dict[str, Any], thoughts: bool) -> list[dict[str, Any]]:
        """Of what a delta or message says in words."""
        made: list[dict[str, Any]] = []
        thinking, text = said(message)
        if thoughts and thinking:
            made.append({"text": thinking, "thought": True})
        if text:
            made.append({"text": text})
        self.spoke = self.spoke or bool(made)
        return made

    def called(self) -> list[dict[str, Any]]:
        """Its calls, as parts. Raises UpstreamFailed for one that cannot be read."""
        made = [
            {"functionCall": {"id": call.id, "name": call.name, "args": call.given()}}
            for call in self.calls.take(self.reason)
        ]
        self.spoke = self.spoke or bool(made)
        return made


class ContentWriter:
    """For one answer; a stream is one of server-sent events."""

    def __init__(self, model: str, thoughts: bool = False) -> None:
        """`model` as the client wrote it; `thoughts`: whether it wants to read them."""
        self._model = model
        self._thoughts = thoughts
        self._chunks = Chunks()
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] = {}
        self._id = ""

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Writer.feed`."""
        return b"".join(self._said(chunk) for chunk in self._chunks.feed(data))

    def end(self) -> bytes:
        """See :meth:`Writer.end`. Raises UpstreamFailed for a call without arguments that can be read."""
        last = [
            self._ended(at, candidate, candidate.called() or [{"text": ""}])
            for at, candidate in sorted(self._candidates.items())
        ]
        return self._event(self._answer(last))

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        data = answer_of(answer, "choices")
        self._note(data)
        made = []
        for choice in choices_of(data):
            at, candidate = self._candidate(choice)
            message = choice.get("message") or {}
            candidate.calls.add(message.get("tool_calls"))
            parts = [*candidate.parts(message, self._thoughts), *candidate.called()]
            made.append({**self._ended(at, candidate, parts), **_logprobs(choice)})
        return orjson.dumps(self._answer(made))

    def broken(self, error: CaravanError) -> bytes:
        """The end of a stream that broke."""
        return self._event(errors.object_of(error))

    def _event(self, answer: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(answer) + b"\n\n"

    def _said(self, chunk: dict[str, Any]) -> bytes:
        """The event of a chunk; none for one that says nothing yet."""
        self._note(chunk)
        made = []
        for choice in choices_of(chunk):
            at, candidate = self._candidate(choice)
            delta = choice.get("delta") or {}
            candidate.calls.add(delta.get("tool_calls"))
            if parts := candidate.parts(delta, self._thoughts):
                made.append({**_row(at, parts), **_logprobs(choice)})
        return self._event({"candidates": made, **self._head()}) if made else b""

    def _candidate(self, choice: dict[str, Any]) -> tuple[int, _Candidate]:
        at = choice.get("index") or 0
        candidate = self._candidates.setdefault(at, _Candidate())
        candidate.reason = choice.get("finish_reason") or candidate.reason
        return at, candidate

    def _note(self, data: dict[str, Any]) -> None:
        self._usage = data.get("usage") or self._usage
        self._id = self._id or data.get("id") or ""

    def _ended(self, at: int, candidate: _Candidate, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {**_row(at, parts), "finishReason": _REASONS.get(candidate.reason, "OTHER")}

    def _answer(self, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        found = self._candidates.values()
        if found and all(one.reason == "content_filter" and not one.spoke for one in found):
            return {**_BLOCKED, "usageMetadata": _usage(self._usage), **self._head()}
        return {"candidates": candidates, "usageMetadata": _usage(self._usage), **self._head()}

    def _head(self) -> dict[str, Any]:
        return {"modelVersion": self._model, "responseId": self._id}


class ArrayWriter(ContentWriter):
    """A stream that is one JSON array, written piece by piece: Google's own when ``alt=sse`` is not asked for."""

    _begun = False

    def end(self) -> bytes:
        """See :meth:`Writer.end`."""
        return super().end() + b"]"

    def broken(self, error: CaravanError) -> bytes:
        """See :meth:`ContentWriter.broken`: the error is the last of the array."""
        return super().broken(error) + b"]"

    def _event(self, answer: dict[str, Any]) -> bytes:
        before, self._begun = b",\n" if self._begun else b"[", True
        return before + orjson.dumps(answer)


def _row(at: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": parts}, "index": at}


def _logprobs(choice: dict[str, Any]) -> dict[str, Any]:
    told = choice.get("logprobs")
    tokens = told.get("content") if isinstance(told, dict) else None
    if not tokens:
        return {}
    top = [{"candidates": [_token(each) for each in token.get("top_logprobs") or ()]} for token in tokens]
    return {"logprobsResult": {"chosenCandidates": [_token(token) for token in tokens], "topCandidates": top}}


def _token(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    """What was thought is no part of a candidate's tokens with Google, and with OpenAI it is."""
    read, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    thoughts = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    made = {
        "promptTokenCount": read,
        "candidatesTokenCount": max(0, written - thoughts),
        "totalTokenCount": usage.get("total_tokens") or read + written,
    }
    if thoughts:
        made["thoughtsTokenCount"] = thoughts
    if cached := (usage.get("prompt_tokens_details") or {}).get("cached_tokens"):
        made["cachedContentTokenCount"] = cached
    return made
