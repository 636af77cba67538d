"""A request's body that is larger than a message: foreign users send it in parts, on the stream's control subject."""

from __future__ import annotations

import asyncio
from typing import Final

from caravan_contracts import headers as h
from caravan_contracts.errors import CaravanError, InvalidRequest, Overloaded, RequestTooLarge, Unavailable

from caravan_bus.transport import Message

MAX_BODY: Final = 32 * 1024 * 1024
"""As much as a gateway takes unless it is told otherwise."""
MAX_ALL: Final = 64 * 1024 * 1024
"""Bytes of all bodies that are arriving at one worker."""
BODY_SECONDS: Final = 30.0


class ForeignBody:
    """One body on its way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._parts: list[bytes] = []
        self._have = 0
        self._whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @staticmethod
    def of(message: Message, arriving: int) -> ForeignBody | None:
        """What the headers of a request announce; None when its body is its own. `arriving` is the size of all others.

        Raises InvalidRequest, RequestTooLarge, Overloaded.
        """
        said = message.headers.get(h.BODY_SIZE)
        if said is None:
            return None
        if not said.isascii() or not said.isdigit() or len(said) > 12 or message.data:
            raise InvalidRequest(f"the header {h.BODY_SIZE} is a number of bytes, and the request's own body is empty")
        size = int(said)
        if not 0 < size <= MAX_BODY:
            raise RequestTooLarge(f"the body has {size} bytes; at most {MAX_BODY} are taken")
        if arriving + size > MAX_ALL:
            raise Overloaded("too many large requests are arriving here", retry_after=1)
        return ForeignBody(size)

    def add(self, number: int, part: bytes) -> None:
        """Part `number`, from 1. A hole cannot be mended: the client has to send the request again."""
        if self._whole.done():
            return
        if number != len(self._parts) + 1:
            self._fail(Unavailable("a part of the request's body was lost on its way; send it again", retry_after=0.1))
            return
        self._parts.append(part)
        self._have += len(part)
        if self._have > self.size:
            self._fail(InvalidRequest(f"the request's body is larger than the header {h.BODY_SIZE} says"))
        elif self._have == self.size:
            self._whole.set_result(None)

    async def whole(self) -> bytes:
        """All of it. Raises InvalidRequest or Unavailable when it does not come."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await self._whole
        except TimeoutError as error:
            raise Unavailable(f"the request's body did not arrive within {BODY_SECONDS:g} s") from error
        return b"".join(self._parts)

    def release(self) -> None:
        """Nobody waits for it any more."""
        self._parts = []
        if not self._whole.cancel() and not self._whole.cancelled():
            self._whole.exception()  # seen, whether anybody waited for it or not

    def _fail(self, error: CaravanError) -> None:
        self._parts = []
        self._whole.set_exception(error)
