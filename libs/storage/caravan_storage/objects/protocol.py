"""The object store as everybody sees it, whichever it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

PIECE: Final = 256 * 1024
"""Bytes that `get` gives at once, at most."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What an object turned out to be."""

    size: int
    """Bytes."""
    sha256: str
    """Of all of it, in hex."""


class Objects(Protocol):
    """Bytes under keys (see :func:`~caravan_storage.objects.names.check_key`), each written once and as a whole.

    Memory does not grow with the size of an object. No key may be another's folder (`a` and `a/b`): some servers with
    S3's API cannot keep both. Every method raises InvalidRequest for a key that is none, and
    DependencyDown when the store cannot be used now (it does not answer, its disk is full, it lets nobody in).
    """

    async def put(self, key: str, data: AsyncIterator[bytes], most: int) -> Stored:
        """Keep all of `data` under `key`, in the place of what was there; whole or not at all.

        Nothing is seen under `key` before the end. When `data` is over `most` bytes (RequestTooLarge), when it raises
        (that error), or when the caller is cancelled before its end, what came is removed and what was there stays. Of
        several at the same time the one that ends last is kept.
        """
        ...

    def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to but without `end` (None: the object's end), in pieces of at most PIECE bytes.

        What the range has past the object's end is left out, so the range may give nothing. Raises NotFound, at the
        first piece as everything else, and ValueError for a range that runs backwards. An object that is deleted or
        written anew meanwhile is read to its end as it was, or DependencyDown is raised: never a mix of two. Who may
        stop before the end closes it (`contextlib.aclosing`), for it holds a file or a connection.
        """
        ...

    async def join(self, key: str, parts: Sequence[str]) -> Stored:
        """Make one object of several, in their order, as `put` does; the parts stay. Raises NotFound for a part."""
        ...

    async def delete(self, key: str) -> None:
        """Forget it; nothing happens when it is not there."""
        ...

    def keys(self, prefix: str) -> AsyncGenerator[tuple[str, float]]:
        """Every key that begins with `prefix`, and how many seconds ago it was written, in no order: for sweeping.

        Lazy, however many there are. What is written or deleted meanwhile may be in it or not.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
