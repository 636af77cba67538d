"""The provider of sentence embeddings: one model, one thread that feeds it with the texts of all calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar, TypeVarTuple

from caravan_contracts.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, Overloaded, Unavailable
from caravan_contracts.inference import JSON_BODY, Summary, Usage, Verb
from caravan_contracts.registry import DiscoveredModel, ModelType

from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.onnx_embeddings import answer, inputs, weights
from caravan_inference.providers.onnx_embeddings import options as opt
from caravan_inference.providers.onnx_embeddings.batches import cost_of_run
from caravan_inference.providers.onnx_embeddings.turns import Turns

if TYPE_CHECKING:
    from caravan_inference.providers.onnx_embeddings.model import Model, Vectors

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")
_PIECE = 256 * 1024
_TOKENIZE_AT_ONCE = 64
_SMALL = 8
_SMALL_BYTES = 4 * 1024
"""Up to here, reading and writing cost less than going to a thread."""


class OnnxEmbeddings:
    """Embeddings only."""

    types: ClassVar[Sequence[str]] = ("inline::onnx-embeddings",)

    def __init__(self, options: ProviderOptions) -> None:
        self._config = opt.read(options)
        self.options = replace(options, slots=self._config.parallel)
        self._model: Model | None = None
        self._model_id = ""
        self._running = 0
        # One thread computes, batch by batch, so that a large call and a small one take turns.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnx")
        self.turns = Turns(self._compute, cost_of_run(self._config.threads))

    async def start(self) -> None:
        """Check and load the model (about 0.3 s of CPU)."""
        self._model, self._model_id = await self._in_turn(self._load)

    async def close(self) -> None:
        """Free the model."""
        await self.turns.close()
        self._model = None
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    async def models(self) -> list[DiscoveredModel]:
        """The one model."""
        metadata = {"embedding_dimension": self._started.dimension, "context_length": self._config.context_length}
        return [DiscoveredModel(id=self._model_id, model_type=ModelType.EMBEDDING, metadata=metadata)]

    async def run(self, call: Call, output: Output) -> Result:
        """Serve one call. A cancelled one stops at the end of the batch that is being computed."""
        began = time.perf_counter()
        if call.verb is not Verb.EMBEDDINGS:
            raise InvalidRequest(f"{call.spec.shown_model!r} is an embedding model; it writes no text", param="model")
        if call.spec.model != self._model_id:
            raise ModelNotFound(
                f"provider {self.options.id!r} serves {self._model_id!r}, not {call.spec.model!r}", param="model"
            )
        if self._running >= self._config.parallel:
            raise Overloaded(f"{self._running} calls are being embedded already", retry_after=1)
        self._running += 1
        try:
            async with asyncio.timeout(max(0.0, call.context.remaining)):
                return await self._embed(call, output, began)
        except TimeoutError as error:
            raise DeadlineExceeded("the request's time is over while its texts were embedded") from error
        finally:
            self._running -= 1

    async def _embed(self, call: Call, output: Output, began: float) -> Result:
        model = self._started
        asked = inputs.read(call.body, model.dimension)
        small = len(asked.inputs) <= _SMALL and len(call.body) <= _SMALL_BYTES
        tokens = model.tokens(asked.inputs) if small else await self._tokens(asked.inputs)
        total = sum(map(len, tokens))
        vectors = await self.turns.vectors(tokens)
        encode = partial(answer.encode, vectors, call.spec.shown_model, total, as_base64=asked.base64)
        body = encode() if small else await asyncio.to_thread(encode)
        summary = Summary(
            model=self._model_id,
            usage=Usage(prompt_tokens=total),
            first_token_ms=(time.perf_counter() - began) * 1000,
            content_type=JSON_BODY,
        )
        last = (len(body) - 1) // _PIECE * _PIECE
        for start in range(0, last, _PIECE):
            if not output.write(body[start : start + _PIECE]):
                await output.room()
        return Result(summary, body[last:])

    async def _tokens(self, texts: list[inputs.Text]) -> list[list[int]]:
        made: list[list[int]] = []
        for start in range(0, len(texts), _TOKENIZE_AT_ONCE):
            made += await asyncio.to_thread(self._started.tokens, texts[start : start + _TOKENIZE_AT_ONCE])
        return made

    async def _compute(self, rows: list[list[int]]) -> Sequence[Vectors]:
        made: Vectors = await self._in_turn(self._started.embed, rows)
        return list(made)

    async def _in_turn(self, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _load(self) -> tuple[Model, str]:
        path, tokenizer, name = weights.find(self._config)
        try:
            from caravan_inference.providers.onnx_embeddings.model import Model

            return Model(self._config, path, tokenizer), name
        except ImportError as error:
            raise Unavailable(f"a runtime of the embedder is not installed ({error}): {weights.INSTALL}") from error

    @property
    def _started(self) -> Model:
        if self._model is None:
            raise Unavailable(f"provider {self.options.id!r} is not started")
        return self._model
