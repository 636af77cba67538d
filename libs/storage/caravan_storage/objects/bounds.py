"""What goes in and out, in pieces of the right size and within its bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from caravan_contracts.errors import RequestTooLarge


def check_range(start: int, end: int | None) -> None:
    """Raises ValueError for a range of bytes that begins before the object or runs backwards."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"no range of bytes: {start} to {end}")


async def gathered(data: AsyncIterator[bytes], most: int, least: int) -> AsyncGenerator[bytes]:
    """The pieces of `data`, as many put together as make `least` bytes; the last may have fewer. Raises RequestTooLarge
    as soon as there are more than `most`."""
    together = bytearray()  # and no list of pieces: somebody may send two bytes at a time
    total = 0
    async for piece in data:
        total += len(piece)
        if total > most:
            raise RequestTooLarge(f"more than {most} bytes")
        together += piece
        if len(together) >= least:
            yield bytes(together)
            together.clear()
    if together:
        yield bytes(together)


async def one_after_the_other(
    get: Callable[[str], AsyncGenerator[bytes]], keys: Sequence[str]
) -> AsyncGenerator[bytes]:
    """The bytes of several objects."""
    for key in keys:
        async with aclosing(get(key)) as pieces:
            async for piece in pieces:
                yield piece
