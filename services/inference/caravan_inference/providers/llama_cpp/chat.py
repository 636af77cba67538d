"""A chat call: generations of the engine become deltas of OpenAI's chat."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from caravan_inference.providers.llama_cpp import choosing, messages, request, tools
from caravan_inference.providers.llama_cpp.choosing import ANSWER, Choice, Mode
from caravan_inference.providers.llama_cpp.deltas import Delta, Tally
from caravan_inference.providers.llama_cpp.engine import Engine, Generation, Request
from caravan_inference.providers.llama_cpp.options import Config
from caravan_inference.providers.llama_cpp.pieces import Piece
from caravan_inference.providers.llama_cpp.tool_reader import CallReader, begins_call


class ChatRun:
    """One call. Everything that can be refused is refused by the constructor."""

    def __init__(self, engine: Engine, config: Config, body: bytes) -> None:
        self._engine = engine
        self._asked = asked = request.chat(body)
        schema = request.schema_of(asked.response_format)
        offered = tools.read(asked.tools)
        self._choice = choosing.choose(offered, asked, schema, config.tools_by_words)
        told = tools.instructions(self._choice.tools, must=self._choice.mode is Mode.CALL) if self._choice.tools else ""
        self._messages = messages.render(asked.messages, config.system_message, told)
        self.tally = Tally()

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Choice after choice; each list is all that was ready, and never empty."""
        for index in range(self._asked.choices):
            first = True
            async with aclosing(self._one(index)) as steps:
                async for made in steps:
                    if not made:
                        continue
                    if first:
                        first = False
                        made.insert(0, Delta(index, {"role": "assistant", "content": ""}))
                    yield made

    async def _one(self, index: int) -> AsyncGenerator[list[Delta], None]:
        choice = self._choice
        if choice.mode is Mode.OPEN:
            called = False
            async with self._engine.generate(self._request(index, choice)) as generation:
                async for pieces in _decided(generation):
                    called = pieces is None
                    if pieces is None:
                        break
                    yield self._text(index, pieces)
            if not called:
                return
            choice = Choice(Mode.CALL, choice.tools)
        reader = CallReader() if choice.mode is Mode.CALL else None
        async with self._engine.generate(self._request(index, choice)) as generation:
            async for pieces in generation:
                yield self._text(index, pieces) if reader is None else self._call(index, pieces, reader)

    def _text(self, index: int, pieces: list[Piece]) -> list[Delta]:
        made = []
        for piece in pieces:
            self._count(index, piece)
            content: dict[str, Any] = {}
            if piece.reasoning:
                content["reasoning_content"] = piece.reasoning
            if piece.text:
                content["content"] = piece.text
            if content or piece.finish:
                made.append(Delta(index, content, self._logprobs(piece), piece.finish))
        return made

    def _call(self, index: int, pieces: list[Piece], reader: CallReader) -> list[Delta]:
        made = []
        for piece in pieces:
            self._count(index, piece)
            known = bool(reader.name)
            arguments = reader.feed(piece.text) if piece.text else ""
            if reader.name == ANSWER:
                if arguments:
                    made.append(Delta(index, {"content": arguments}))
            elif reader.name and not known:
                function = {"name": reader.name, "arguments": arguments}
                call_id = f"call_{uuid.uuid4().hex[:24]}"
                call = {"index": 0, "id": call_id, "type": "function", "function": function}
                made.append(Delta(index, {"tool_calls": [call]}))
            elif arguments:
                made.append(Delta(index, {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}))
            if piece.finish:
                called = piece.finish == "stop" and reader.name != ANSWER
                made.append(Delta(index, {}, None, "tool_calls" if called else piece.finish))
        return made

    def _count(self, index: int, piece: Piece) -> None:
        if piece.usage is not None:
            self.tally.add(piece.usage, same_prompt=index > 0)

    def _logprobs(self, piece: Piece) -> dict[str, Any] | None:
        if not self._asked.logprobs or piece.logprobs is None:
            return None
        wanted = self._asked.top_logprobs or 0
        return {"content": [_token(row, wanted) for row in piece.logprobs], "refusal": None}

    def _request(self, index: int, choice: Choice) -> Request:
        made = {"messages": self._messages, **self._asked.for_engine(index)}
        if self._asked.logprobs and choice.mode is not Mode.CALL:
            made["logprobs"] = True
            made["top_logprobs"] = max(1, self._asked.top_logprobs or 0)
        schema = tools.schema(choice.tools) if choice.mode is Mode.CALL else choice.schema
        if schema is not None:
            made["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        return Request("chat", made, "tools" if choice.mode is Mode.CALL else "response_format")


async def _decided(generation: Generation) -> AsyncIterator[list[Piece] | None]:
    """The pieces of free text, held back until it is sure that they are no call; None when they are one."""
    held: list[Piece] = []
    free = False
    async for pieces in generation:
        held += pieces
        if not free:
            begun = begins_call("".join(piece.text for piece in held))
            if begun:
                yield None
                return
            free = begun is False or held[-1].usage is not None
        if free:
            yield held
            held = []


def _token(row: dict[str, Any], top: int) -> dict[str, Any]:
    """OpenAI's fields of a token; the engine adds its id."""
    made = {name: row[name] for name in ("token", "logprob", "bytes")}
    made["top_logprobs"] = [
        {name: other[name] for name in ("token", "logprob", "bytes")} for other in row["top_logprobs"][:top]
    ]
    return made
