"""A completions call: generations of the engine become pieces of text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from caravan_inference.providers.llama_cpp import request
from caravan_inference.providers.llama_cpp.deltas import Delta, Tally
from caravan_inference.providers.llama_cpp.engine import Engine, Request
from caravan_inference.providers.llama_cpp.pieces import Piece


class CompletionRun:
    """One call. Everything that can be refused is refused by the constructor."""

    def __init__(self, engine: Engine, body: bytes) -> None:
        self._engine = engine
        self._asked = request.completion(body)
        self._prompts = request.prompts(self._asked)
        self.tally = Tally()

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Choice after choice: n answers to the first prompt, n to the second, and so on."""
        index = 0
        for prompt in self._prompts:
            for answer in range(self._asked.choices):
                async with aclosing(self._one(index, answer, prompt)) as steps:
                    async for made in steps:
                        yield made
                index += 1

    async def _one(self, index: int, answer: int, prompt: str) -> AsyncGenerator[list[Delta], None]:
        body: dict[str, Any] = {"prompt": prompt, **self._asked.for_engine(answer)}
        if self._asked.max_tokens is None:
            body["max_tokens"] = 16  # OpenAI's default for this verb
        if self._asked.logprobs is not None:
            body["logprobs"] = max(1, self._asked.logprobs)
        offset = len(prompt) if self._asked.echo else 0
        begun = False
        async with self._engine.generate(Request("completions", body)) as generation:
            async for pieces in generation:
                made = [Delta(index, {"text": prompt})] if self._asked.echo and not begun else []
                begun = True
                for piece in pieces:
                    if piece.usage is not None:
                        self.tally.add(piece.usage, same_prompt=answer > 0)
                    if piece.text or piece.finish:
                        made.append(Delta(index, {"text": piece.text}, self._logprobs(piece, offset), piece.finish))
                        offset += len(piece.text)
                if made:
                    yield made

    def _logprobs(self, piece: Piece, offset: int) -> dict[str, Any] | None:
        """The older shape of this verb: four lists beside each other."""
        if self._asked.logprobs is None or piece.logprobs is None:
            return None
        made: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        for row in piece.logprobs:
            made["tokens"].append(row["token"])
            made["token_logprobs"].append(row["logprob"])
            top = row["top_logprobs"][: self._asked.logprobs]
            made["top_logprobs"].append({other["token"]: other["logprob"] for other in top})
            made["text_offset"].append(offset)
            offset += len(row["token"])
        return made
