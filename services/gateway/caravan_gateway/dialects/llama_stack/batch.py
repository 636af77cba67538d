"""Several chats or texts in one request, answered together."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.asgi import Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.dialects.base import Translation
from caravan_gateway.dialects.llama_stack import options
from caravan_gateway.dialects.llama_stack.dialect import Spoken
from caravan_gateway.dialects.llama_stack.generations import Generation
from caravan_gateway.kept import Origin
from caravan_gateway.source import MAX_ANSWER, Source, Whole
from caravan_gateway.special import KEY

MOST: Final = 256
"""Requests in one batch."""
_AT_ONCE: Final = 8

Object = dict[str, Any]


class BatchRoute(CompletionRoute):
    """A list where the request of `dialect` has one thing; else the same. All are answered, or none."""

    def __init__(self, dialect: Spoken, one: str, many: str, route: str, like: CompletionRoute) -> None:
        """`one` is the field of a single request, `many` that of a batch."""
        super().__init__(dialect.verb, route, *like.parts)
        self._dialect = dialect
        self._one = one
        self._many = many

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        if KEY in headers:
            raise InvalidRequest("a batch cannot have an Idempotency-Key: send its requests one by one")
        room = asyncio.Semaphore(_AT_ONCE)

        wanted = self._read(body)

        async def answered(one: Translation) -> bytes:
            async with room:
                asked = await self._client.ask(self._verb, one.body, context, provider_data)
                try:
                    return await asked.stream.read_all(MAX_ANSWER // len(wanted))
                finally:
                    await self._finish_run(asked)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(answered(one)) for one in wanted]
        except ExceptionGroup as errors:
            raise _first(errors) from errors
        rows = [self._dialect.writer().answer(task.result()) for task in tasks]
        return Whole(Origin(), orjson.dumps(together(rows, self._dialect.generation))), False, NO_HEADERS

    def _read(self, body: bytes) -> list[Translation]:
        data = options.read(body)
        rows = data.pop(self._many, None)
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST:
            raise InvalidRequest(f"'{self._many}' should be a list of 1 to {MOST}", param=self._many)
        data.pop("stream", None)
        return [self._translated({**data, self._one: row}, number) for number, row in enumerate(rows)]

    def _translated(self, data: Object, number: int) -> Translation:
        try:
            return self._dialect.translated(data)
        except InvalidRequest as error:
            if error.param == self._one or (error.param or "").startswith(f"{self._one}."):
                error.param = f"{self._many}.{number}{(error.param or '').removeprefix(self._one)}"
            raise


def together(rows: list[Object], generation: Generation) -> Object:
    """The answer of a batch: the first two generations have only the messages in it."""
    return {generation.batch: rows if generation.typed else [_message(row) for row in rows]}


def _message(row: Object) -> Object:
    if "completion_message" in row:
        return dict(row["completion_message"])
    return {"role": "assistant", "content": row["content"], "stop_reason": row["stop_reason"], "tool_calls": []}


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
