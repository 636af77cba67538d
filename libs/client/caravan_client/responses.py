"""Responses: the resource of the OpenAI client by its names and arguments.

A response is named here, before it is asked for. When the worker that relays it dies, another is asked for the response
of that name, and told what has arrived of it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

import orjson
from caravan_contracts import headers as h
from caravan_contracts.errors import StreamInterrupted
from caravan_contracts.response_verbs import SERVICE, ResponseVerb

from caravan_client.answers import Object
from caravan_client.asking import Asking, relay_lost
from caravan_client.line import Call
from caravan_client.response_answers import (
    Page,
    Response,
    ResponseItem,
    ResponseItemPage,
    ResponsePage,
    ResponseStreamEvent,
)
from caravan_client.sse import EventDecoder
from caravan_client.stream import Stream

if TYPE_CHECKING:
    from caravan_client.client import Caravan

MAX_RELAYS: Final = 8
"""Workers that are asked, one after the other, to go on with one stream."""
STREAM_SECONDS: Final = 600.0
FOLLOW_SECONDS: Final = 3600.0
"""How long events may come in all, unless the header ``x-caravan-timeout`` says something else: of a response that ends
with its reader, and of one that does not."""
_OPTIONS: Final = ("extra_headers", "extra_query", "extra_body", "timeout")

Pages = TypeVar("Pages", bound=Page)
Row = TypeVar("Row", bound=Object)


class ResponseStream(Stream[ResponseStreamEvent]):
    """The events of one response. They go on, each once, when the worker that relays them dies."""

    def __init__(self, asking: Asking, again: Callable[[Asking, int], Asking], first: int = 0) -> None:
        """`again` asks for the events from a number on; `first` is that of the first event."""
        super().__init__(asking, ResponseStreamEvent)
        self._again = again
        self._first = first
        self._relays = 1
        self._last = b""

    async def _read(self) -> bytes:
        while True:
            try:
                return await super()._read()
            except StreamInterrupted as error:
                if not relay_lost(error.__cause__) or self._relays >= MAX_RELAYS:
                    raise
            self._relays += 1
            asking = self._again(self._asking, self._next())
            await asking.open()
            self._asking, self._decoder = asking, EventDecoder()

    async def _more(self) -> None:
        await super()._more()
        if self._ready:
            self._last = self._ready[-1]

    def _next(self) -> int:
        """The number behind that of the last event that is here whole."""
        if not self._last:
            return self._first
        number: int = orjson.loads(self._last)["sequence_number"]
        return number + 1


class Responses:
    """``client.responses``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client
        self.input_items = InputItems(client)

    @overload
    async def create(
        self, *, stream: Literal[True], model: str | None = None, input: Any = None, **params: Any
    ) -> ResponseStream: ...

    @overload
    async def create(
        self, *, stream: Literal[False] | None = None, model: str | None = None, input: Any = None, **params: Any
    ) -> Response: ...

    async def create(
        self, *, stream: bool | None = None, model: str | None = None, input: Any = None, **params: Any
    ) -> Response | ResponseStream:
        """A response, as a whole or event by event; with ``background=True`` one that outlives this process. Whoever
        leaves any other ends it."""
        client = self._client
        named = {name: value for name, value in (("model", model), ("input", input)) if value is not None}
        fields = {**named, **params, **({"stream": True} if stream is True else {})}
        body, headers, timeout = client._read(fields)
        background = params.get("background") is True
        naming = _Naming(background)

        def asking(total: float | None = None) -> Asking:
            call = Call(SERVICE, ResponseVerb.RESPOND, body, headers, naming.headers())
            return client._line.asking(call, timeout, total)

        if stream is not True:
            return await client._whole(asking, Response)
        total = FOLLOW_SECONDS if background else STREAM_SECONDS
        return await client._begun(lambda: ResponseStream(asking(total), _behind))

    @overload
    async def retrieve(
        self, response_id: str, *, stream: Literal[True], starting_after: int | None = None, **params: Any
    ) -> ResponseStream: ...

    @overload
    async def retrieve(
        self, response_id: str, *, stream: Literal[False] | None = None, starting_after: None = None, **params: Any
    ) -> Response: ...

    async def retrieve(
        self, response_id: str, *, stream: bool | None = None, starting_after: Any = None, **params: Any
    ) -> Response | ResponseStream:
        """A stored response as far as it is, or its events: those behind the number `starting_after`, to the last.
        Raises NotFoundError."""
        if stream is not True:
            return await _recall(self._client, "get", Response, {"id": response_id, **params})
        client = self._client
        first = starting_after + 1 if isinstance(starting_after, int) else 0
        fields: dict[str, Any] = {"id": response_id, "first": first}
        if isinstance(include := params.get("include"), Sequence):
            fields["include"] = list(include)
        body, headers, timeout = client._read({**fields, **_options(params)})
        call = Call(SERVICE, ResponseVerb.FOLLOW, body, headers)

        def again(asking: Asking, number: int) -> Asking:
            return asking.again({}, orjson.dumps({**fields, "first": number}))

        return await client._begun(
            lambda: ResponseStream(client._line.asking(call, timeout, FOLLOW_SECONDS), again, first)
        )

    async def cancel(self, response_id: str, **params: Any) -> Response:
        """End a response in the background before its time. Raises NotFoundError, BadRequestError."""
        return await _recall(self._client, "cancel", Response, {"id": response_id, **params})

    async def delete(self, response_id: str, **params: Any) -> None:
        """Forget a stored response. Raises NotFoundError, ConflictError while it is under way."""
        await _recall(self._client, "delete", Object, {"id": response_id, **params})

    def list(self, **params: Any) -> Listing[ResponsePage, Response]:
        """Stored responses (`after`, `limit`, `order`, `model`): ``await`` a page of them, or ``async for`` all. The
        OpenAI client has no such method; the gateway has the route."""
        return Listing(lambda more: _recall(self._client, "list", ResponsePage, {**params, **more}))


class InputItems:
    """``client.responses.input_items``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    def list(self, response_id: str, **params: Any) -> Listing[ResponseItemPage, ResponseItem]:
        """What went into a response (`after`, `limit`, `order`): ``await`` a page of it, or ``async for`` all."""
        fields = {"id": response_id, **params}
        return Listing(lambda more: _recall(self._client, "input_items", ResponseItemPage, {**fields, **more}))


class Listing(Generic[Pages, Row]):
    """A list that is to be asked for."""

    def __init__(self, ask: Callable[[Mapping[str, str]], Awaitable[Pages]]) -> None:
        self._ask = ask

    def __await__(self) -> Generator[Any, None, Pages]:
        return self._ask({}).__await__()

    async def __aiter__(self) -> AsyncIterator[Row]:
        page = await self
        while True:
            for row in page.data:
                yield row
            if not page.has_more or not page.last_id:
                return
            page = await self._ask({"after": page.last_id})


class _Naming:
    """How the tries of one call name what they ask for."""

    def __init__(self, background: bool) -> None:
        """One in the background is one response, however often it is asked for. Any other ends when a try is given up,
        so the next is a new one."""
        self._fixed = _name() if background else ""
        self._tries = 0

    def headers(self) -> dict[str, str]:
        """Of the next try."""
        self._tries += 1
        if not self._fixed:
            return {h.RESPONSE: _name()}
        return {h.RESPONSE: self._fixed, **({h.AFTER: "0"} if self._tries > 1 else {})}


def _name() -> str:
    return f"resp_{secrets.token_hex(24)}"


def _behind(asking: Asking, number: int) -> Asking:
    return asking.again({h.AFTER: str(number)}, asking.request.body)


def _options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAI client's own among the arguments of a call."""
    return {name: value for name, value in params.items() if name in _OPTIONS}


async def _recall(client: Caravan, operation: str, kind: type[Row], params: Mapping[str, Any]) -> Row:
    body, headers, timeout = client._read({"operation": operation, **params})
    call = Call(SERVICE, ResponseVerb.RECALL, body, headers)
    return await client._whole(lambda: client._line.asking(call, timeout), kind)
