"""Another target's stream as the rest of one that broke: one id, one role, nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.inference import DONE_EVENT, Summary, Usage

from caravan_bus.routing.delivered import TEXTS, Delivered, Key, call_text, calls, choices, chunks, delta_of, index_of

_MAX_EVENT: Final = 4 * 1024 * 1024


class Diverged(UpstreamBroke):
    """A replay is not what the client has: the stream cannot be finished."""

    code = "replay_diverged"


class Splice:
    """For one continuation. Feed it what the target sends, and pass on what it returns.

    With `replay` the target began anew: what it says must be what the client has, and is skipped so far. Without it
    the target goes on from there (it was given the text), and all of it is new.
    """

    def __init__(self, delivered: Delivered, replay: bool) -> None:
        self._delivered = delivered
        self._replay = replay
        self._left: dict[Key, str] = dict(delivered.texts) if replay else {}
        self._roles = set(delivered.roles)
        self._calls = set(delivered.calls)
        self._before = 0 if replay else delivered.tokens
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """What `data` adds to what the client has; b"" when it is nothing yet. Raises Diverged."""
        data = self._tail + data if self._tail else data
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:
            self._tail = data
            if len(data) > _MAX_EVENT:
                raise UpstreamBroke("a target sent an event without an end")
            return b""
        self._tail = data[cut:]
        made = [
            b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks(data[:cut]) if chunk and self._keep(chunk)
        ]
        if data.endswith(DONE_EVENT):
            self._check_replayed(None)
            made.append(DONE_EVENT)
        return b"".join(made)

    def summary(self, told: Summary) -> Summary:
        """How the whole stream went, when its last target told `told`."""
        usage = told.usage
        if usage is not None:
            usage = replace(usage, completion_tokens=usage.completion_tokens + self._before)
        return replace(told, response_id=self._delivered.id or told.response_id, usage=usage)

    def _keep(self, chunk: dict[str, Any]) -> bool:
        """Change `chunk` to what is new in it; False when that is nothing."""
        if self._delivered.id:
            chunk["id"] = self._delivered.id
        if self._delivered.created is not None and "created" in chunk:
            chunk["created"] = self._delivered.created
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._add_usage(usage)
        found = choices(chunk)
        if not found:
            return isinstance(usage, dict)
        kept = [choice for choice in found if self._keep_choice(choice)]
        chunk["choices"] = kept
        return bool(kept) or isinstance(usage, dict)

    def _keep_choice(self, choice: dict[str, Any]) -> bool:
        index = index_of(choice)
        delta = delta_of(choice)
        new = not delta
        if delta.get("role"):
            if index in self._roles:
                del delta["role"]
            else:
                self._roles.add(index)
                new = True
        for name in TEXTS:
            text = delta.get(name)
            if isinstance(text, str):
                delta[name] = self._new(index, name, text)
                if len(delta[name]) != len(text):
                    choice.pop("logprobs", None)
                new = new or bool(delta[name])
        if "tool_calls" in delta:
            delta["tool_calls"] = [call for call in calls(delta) if self._keep_call(index, call)]
            new = new or bool(delta["tool_calls"])
            if not delta["tool_calls"]:
                del delta["tool_calls"]
        if choice.get("finish_reason"):
            self._check_replayed(index)
            return True
        return new and bool(delta)

    def _keep_call(self, index: int, call: dict[str, Any]) -> bool:
        at = (index, index_of(call))
        new = False
        if call.get("id"):
            if at in self._calls:  # the client has one: that of a replay is another, and means the same
                del call["id"]
                call.pop("type", None)
            else:
                self._calls.add(at)
                new = True
        function = call.get("function")
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                text = function.get(name)
                if isinstance(text, str) and text:
                    function[name] = self._new(index, call_text(call, name), text)
                    new = new or bool(function[name])
                    if not function[name]:
                        del function[name]
        return new

    def _new(self, index: int, name: str, text: str) -> str:
        """What of `text` the client does not have yet."""
        if not self._left:
            return text
        left = self._left.get((index, name), "")
        size = min(len(left), len(text))
        if left[:size] != text[:size]:
            raise self._diverged()
        if len(left) > size:
            self._left[index, name] = left[size:]
            return ""
        self._left.pop((index, name), None)
        rest = text[size:]
        if rest and any(choice == index for choice, _ in self._left):
            raise self._diverged()  # it says more where the client has something else to come
        return rest

    def _check_replayed(self, index: int | None) -> None:
        if any(index in (None, choice) for choice, _ in self._left):
            raise self._diverged()

    def _add_usage(self, usage: dict[str, Any]) -> None:
        if self._before and Usage.from_openai(usage) is not None:
            for name in ("completion_tokens", "total_tokens"):
                if isinstance(usage.get(name), int):
                    usage[name] += self._before

    @staticmethod
    def _diverged() -> Diverged:
        return Diverged("another target was asked to finish the stream, but its answer is another one")
