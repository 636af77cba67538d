"""How many bodies are taken at once: each has a buffer, a thread now and then, and a file that is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from caravan_contracts.errors import Overloaded, TenantLimited


class Transfers:
    """One per process."""

    def __init__(self, most: int) -> None:
        """Half of `most`, rounded up, for one tenant."""
        self._most = most
        self._each = (most + 1) // 2
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """For the time of the block. Raises Overloaded, TenantLimited."""
        if len(self) >= self._most:
            raise Overloaded("too many files are being uploaded here; try again shortly", retry_after=2)
        if self._open[tenant] >= self._each:
            raise TenantLimited("you upload too many files at once; try again shortly", retry_after=2)
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]
