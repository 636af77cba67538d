"""Text completions of Llama Stack."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.inference import Verb

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.chunks import Chunks
from caravan_gateway.dialects.llama_stack import answers, content, options
from caravan_gateway.dialects.llama_stack.dialect import Spoken, Writer
from caravan_gateway.dialects.llama_stack.generations import Generation

Object = dict[str, Any]
_KNOWN: Final = options.SHARED | {"content"}


class Text(Spoken):
    """``/inference/completion`` and its successors."""

    verb = Verb.COMPLETIONS

    def asked(self, data: Object) -> Object:
        """OpenAI's request. Raises InvalidRequest."""
        made: Object = {
            "model": options.model(data, self.generation),
            "prompt": content.text(data.get("content"), "content"),
            **options.sampling(data),
            **options.response_format(data),
        }
        top = options.top_logprobs(data)
        if top is not None:
            made["logprobs"] = top
        if field(data, "stream", bool):
            made["stream"] = True
            if self.generation.typed:
                made["stream_options"] = {"include_usage": True}
        return {**made, **options.others(data, _KNOWN)}

    def writer(self) -> Writer:
        """For its answer."""
        return TextWriter(self.generation)


class TextWriter:
    """Of one answer."""

    def __init__(self, generation: Generation) -> None:
        self._typed = generation.typed
        self._chunks = Chunks()
        self._finish: str | None = None
        self._usage: Any = None

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Codec.feed`."""
        return b"".join(part for chunk in self._chunks.feed(data) for part in self._told(chunk))

    def end(self) -> bytes:
        """The one event with a stop reason."""
        last: Object = {"delta": "", "logprobs": None, "stop_reason": answers.stop_reason(self._finish)}
        if self._typed:
            last["metrics"] = answers.metrics(self._usage)
        return answers.event(last)

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Codec.whole`."""
        return orjson.dumps(self.answer(answer))

    def answer(self, answer: bytes) -> Object:
        """A CompletionResponse. Raises UpstreamFailed."""
        choice, usage = answers.first_choice(answer)
        made: Object = {
            "content": choice.get("text") or "",
            "stop_reason": answers.stop_reason(choice.get("finish_reason")),
            "logprobs": answers.logprobs(choice.get("logprobs")),
        }
        if self._typed:
            made["metrics"] = answers.metrics(usage)
        return made

    def _told(self, chunk: Object) -> list[bytes]:
        made = []
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            self._finish = choice.get("finish_reason") or self._finish
            if said := choice.get("text"):
                logprobs = answers.logprobs(choice.get("logprobs"))
                made.append(answers.event({"delta": said, "logprobs": logprobs, "stop_reason": None}))
        return made
