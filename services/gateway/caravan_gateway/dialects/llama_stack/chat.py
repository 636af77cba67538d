"""Chat completions of Llama Stack."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.inference import Verb

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.chunks import Chunks
from caravan_gateway.dialects.llama_stack import answers, messages, options, tools
from caravan_gateway.dialects.llama_stack.dialect import Spoken, Writer
from caravan_gateway.dialects.llama_stack.generations import Generation

Object = dict[str, Any]
_KNOWN: Final = options.SHARED | {"messages", "tools", "tool_choice", "tool_config", "tool_prompt_format"}
_MAX_ARGUMENTS: Final = 4 * 1024 * 1024
"""Characters of the arguments of one call in a stream."""


class Chat(Spoken):
    """``/inference/chat_completion`` and its successors."""

    verb = Verb.CHAT

    def asked(self, data: Object) -> Object:
        """OpenAI's request. How tools are written into the prompt is the provider's business. Raises InvalidRequest."""
        made: Object = {
            "model": options.model(data, self.generation),
            "messages": messages.messages(data.get("messages"), "messages"),
            **options.sampling(data),
            **options.response_format(data),
        }
        top = options.top_logprobs(data)
        if top is not None:
            made |= {"logprobs": True, **({"top_logprobs": top} if top else {})}
        if given := field(data, "tools", list):
            made["tools"] = tools.functions(given)
            config = field(data, "tool_config", dict) or {}
            choice = config.get("tool_choice") or data.get("tool_choice")
            if choice is not None:
                made["tool_choice"] = tools.choice(choice)
        if field(data, "stream", bool):
            made["stream"] = True
            if self.generation.typed:
                made["stream_options"] = {"include_usage": True}
        return {**made, **options.others(data, _KNOWN)}

    def writer(self) -> Writer:
        """For its answer."""
        return ChatWriter(self.generation)


class ChatWriter:
    """Of one answer. Nothing says `complete` before the provider's stream has ended well."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._chunks = Chunks()
        self._begun = False
        self._calls: dict[int, Object] = {}
        self._finish: str | None = None
        self._usage: Any = None

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Codec.feed`."""
        return b"".join(part for chunk in self._chunks.feed(data) for part in self._told(chunk))

    def end(self) -> bytes:
        """See :meth:`Codec.end`."""
        generation = self._generation
        made = self._begin()
        for given in self._calls.values():
            call, well = messages.call(given, generation.typed)
            if well:
                made.append(self._event("progress", generation.call_delta(call, generation.succeeded)))
            else:
                made.append(self._event("progress", generation.call_delta(call["arguments"], generation.failed)))
        reason = answers.stop_reason(self._finish, bool(self._calls))
        made.append(self._event("complete", generation.text_delta(""), None, reason))
        return b"".join(made)

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Codec.whole`."""
        return orjson.dumps(self.answer(answer))

    def answer(self, answer: bytes) -> Object:
        """A ChatCompletionResponse. Raises UpstreamFailed."""
        choice, usage = answers.first_choice(answer)
        typed = self._generation.typed
        message = choice.get("message") or {}
        calls = [messages.call(call, typed)[0] for call in message.get("tool_calls") or ()]
        made: Object = {
            "completion_message": {
                "role": "assistant",
                "content": message.get("content") or message.get("refusal") or "",
                "stop_reason": answers.stop_reason(choice.get("finish_reason"), bool(calls)),
                "tool_calls": calls,
            },
            "logprobs": answers.logprobs(choice.get("logprobs")),
        }
        if typed:
            made["metrics"] = answers.metrics(usage)
        return made

    def _told(self, chunk: Object) -> list[bytes]:
        made = self._begin()
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            self._finish = choice.get("finish_reason") or self._finish
            delta = choice.get("delta") or {}
            if said := delta.get("content") or delta.get("refusal"):
                logprobs = answers.logprobs(choice.get("logprobs"))
                made.append(self._event("progress", self._generation.text_delta(said), logprobs))
            for piece in delta.get("tool_calls") or ():
                made += self._piece(piece)
        return made

    def _begin(self) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        return [self._event("start", self._generation.text_delta(""))]

    def _piece(self, piece: Object) -> list[bytes]:
        """Some of a call: its head, some of its arguments, or both."""
        made: list[bytes] = []
        number = piece.get("index", max(len(self._calls) - 1, 0))
        if number not in self._calls:
            self._calls[number] = {"function": {"name": "", "arguments": ""}}
            made.append(self._event("progress", self._generation.call_delta("", "started")))
        call, given = self._calls[number], piece.get("function") or {}
        call["id"] = piece.get("id") or call.get("id")
        function = call["function"]
        function["name"] = given.get("name") or function["name"]
        if arguments := given.get("arguments"):
            function["arguments"] += arguments
            if len(function["arguments"]) > _MAX_ARGUMENTS:
                raise UpstreamBroke("the arguments of a tool call have no end")
            made.append(self._event("progress", self._generation.call_delta(arguments, "in_progress")))
        return made

    def _event(self, kind: str, delta: Any, logprobs: Any = None, reason: str | None = None) -> bytes:
        made: Object = {"event": {"event_type": kind, "delta": delta, "logprobs": logprobs, "stop_reason": reason}}
        if self._generation.typed:
            made["metrics"] = answers.metrics(self._usage) if kind == "complete" else None
        return answers.event(made)
