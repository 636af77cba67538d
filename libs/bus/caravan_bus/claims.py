"""Where big bodies lie while their request is under way (see caravan_storage.blobs)."""

from __future__ import annotations

from typing import Protocol


class Claims(Protocol):
    """A place for bodies that are too big for the bus."""

    async def check_in(self, data: bytes) -> str:
        """Keep `data`; return the header line that claims it."""
        ...

    async def claim(self, line: str) -> bytes:
        """Fetch what :meth:`check_in` kept."""
        ...

    async def release(self, line: str) -> None:
        """Forget it before its time."""
        ...
