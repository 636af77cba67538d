"""A streamed answer: its events one by one, an error if it breaks, an end only if it is complete."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

import orjson
from caravan_contracts.errors import CaravanError

from caravan_client.answers import Object
from caravan_client.asking import Asking
from caravan_client.errors import APIError, event_error, status_error, stream_error
from caravan_client.sse import DONE, EventDecoder

Event = TypeVar("Event", bound=Object)


class Stream(Generic[Event]):
    """Async iterator over the events of one answer.

    Leaving a loop early gives the rest up, so that the worker is free again; so do :meth:`close`, the end of an
    ``async with``, the cancellation of the task, and forgetting the stream.
    """

    def __init__(self, asking: Asking, kind: type[Event]) -> None:
        self._asking = asking
        self._kind = kind
        self._decoder = EventDecoder()
        self._ready: deque[bytes] = deque()
        self._begun = False
        """Whether anything has come."""
        self._ended = False
        self._closed = False
        self._loop = asyncio.get_running_loop()

    @property
    def request_id(self) -> str:
        """As logs and traces of the mesh have it."""
        return self._asking.request.request_id

    def __aiter__(self) -> _Loop[Event]:
        return _Loop(self)

    async def __anext__(self) -> Event:
        """The next event. Raises APIError when the stream broke, APITimeoutError when it stalled for too long."""
        while True:
            if self._ready:
                return self._made(self._ready.popleft())
            if self._ended:
                raise StopAsyncIteration
            if self._closed:
                raise APIError("the stream was closed before its end", request_id=self.request_id)
            await self._more()

    async def close(self) -> None:
        """Give up what has not come yet. Harmless at any time."""
        self._give_up()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_up()

    def __del__(self) -> None:
        if not self._ended and not self._closed:
            self._give_up_soon()

    async def _more(self) -> None:
        try:
            data = await self._read()
        except CaravanError as error:
            self._closed = True
            told = stream_error if self._begun else status_error
            raise told(error, self.request_id) from error
        except BaseException:
            self._closed = True
            raise
        if data:
            self._begun = True
            self._ready.extend(self._decoder.feed(data))
        else:
            self._ready.extend(self._decoder.last())
            self._ended = True

    async def _read(self) -> bytes:
        return await self._asking.read()

    async def open(self) -> None:
        """Ask, and wait until something has come: what fails before that has a status, and may be tried again. Raises
        APIError."""
        try:
            await self._asking.open()
            while not self._ready and not self._ended:
                await self._more()
        except CaravanError as error:
            self._closed = True
            raise status_error(error, self.request_id) from error
        except BaseException:
            self._give_up()
            raise

    def _made(self, data: bytes) -> Event:
        if data == DONE:
            self._ready.clear()
            self._ended = True
            self._asking.cancel()
            raise StopAsyncIteration
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            self._give_up()
            raise APIError("an event of the stream is no JSON", request_id=self.request_id) from error
        if not isinstance(event, dict) or event.get("error"):
            self._give_up()
            raise event_error(event.get("error") if isinstance(event, dict) else event, self.request_id)
        return self._kind(event, self.request_id)

    def _give_up(self) -> None:
        if not self._ended:
            self._closed = True
            self._ready.clear()
        self._asking.cancel()

    def _give_up_soon(self) -> None:
        """From a destructor, which may run on any thread."""
        self._closed = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._asking.cancel)


class _Loop(Generic[Event]):
    """The iterator of one ``async for``: nothing else holds it, so that it is gone as soon as the loop is left."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Event]) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await self._stream.__anext__()

    def __del__(self) -> None:
        stream = self._stream
        if not stream._ended and not stream._closed:
            stream._give_up_soon()
