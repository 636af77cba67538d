"""The provider of GGUF models: one engine, one model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar

from caravan_contracts.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, Unavailable
from caravan_contracts.inference import EVENT_STREAM, JSON_BODY, Summary, Verb
from caravan_contracts.registry import DiscoveredModel, ModelType

from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.llama_cpp import options as opt
from caravan_inference.providers.llama_cpp import weights
from caravan_inference.providers.llama_cpp.answers import Body, Events, Head
from caravan_inference.providers.llama_cpp.chat import ChatRun
from caravan_inference.providers.llama_cpp.engine import Engine
from caravan_inference.providers.llama_cpp.text import CompletionRun


class LlamaCpp:
    """Chat and completions."""

    types: ClassVar[Sequence[str]] = ("inline::llama-cpp",)

    def __init__(self, options: ProviderOptions) -> None:
        self._config = opt.read(options)
        self.options = replace(options, slots=self._config.parallel)
        self._model_id = ""
        self._engine: Engine | None = None

    async def start(self) -> None:
        """Load the weights (0.4 s for the bundled model)."""
        path, self._model_id = await asyncio.to_thread(weights.find, self._config)
        engine = Engine(self._config, path)
        await engine.start()
        self._engine = engine

    async def close(self) -> None:
        """Free the engine and its memory."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def models(self) -> list[DiscoveredModel]:
        """The one model."""
        metadata = {"context_length": self._config.context_length}
        return [DiscoveredModel(id=self._model_id, model_type=ModelType.LLM, metadata=metadata)]

    async def run(self, call: Call, output: Output) -> Result:
        """Serve one call.

        A receiver that is slow does not slow the engine down: what is ready waits here, never more than the answer
        that fits the context, and the engine's slot is free for the next call meanwhile.
        """
        began = time.perf_counter()
        made = self._begin(call)
        try:
            async with asyncio.timeout(max(0.0, call.context.remaining)):
                return await self._answer(call, made, output, began)
        except TimeoutError as error:
            raise DeadlineExceeded("the request's time is over while the model worked on it") from error

    def _begin(self, call: Call) -> ChatRun | CompletionRun:
        if self._engine is None:
            raise Unavailable(f"provider {self.options.id!r} is not started")
        if call.spec.model != self._model_id:
            raise ModelNotFound(
                f"provider {self.options.id!r} serves {self._model_id!r}, not {call.spec.model!r}",
                param="model",
            )
        if call.verb is Verb.CHAT:
            return ChatRun(self._engine, self._config, call.body)
        if call.verb is Verb.COMPLETIONS:
            return CompletionRun(self._engine, call.body)
        raise InvalidRequest(f"{call.spec.shown_model!r} is a chat model; it makes no embeddings", param="model")

    async def _answer(self, call: Call, made: ChatRun | CompletionRun, output: Output, began: float) -> Result:
        spec = call.spec
        version = self._engine.version if self._engine is not None else ""
        head = Head.new(chat=call.verb is Verb.CHAT, model=spec.shown_model, fingerprint=f"xllamacpp-{version}")
        events = Events(head, spec.include_usage)
        body = Body(head)
        first, finish, held = 0.0, "", b""
        async with aclosing(made.deltas()) as steps:
            async for deltas in steps:
                first = first or (time.perf_counter() - began) * 1000
                finish = next((delta.finish for delta in deltas if delta.finish), finish)
                if not spec.stream:
                    body.add(deltas)
                    continue
                held += events.encode(deltas)
                if deltas[-1].finish:
                    continue  # perhaps the end, and the end travels with the summary
                if not output.write(held):
                    await output.room()
                held = b""
        usage = made.tally.to_openai()
        summary = Summary(
            response_id=head.id,
            model=self._model_id,
            finish_reason=finish,
            usage=made.tally.usage(),
            first_token_ms=first,
            content_type=EVENT_STREAM if spec.stream else JSON_BODY,
        )
        return Result(summary, held + events.end(usage) if spec.stream else body.end(usage))
