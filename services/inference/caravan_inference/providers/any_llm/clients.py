"""One SDK client for each key: the provider's own, and those that callers bring. Bounded; closed when out of use."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from caravan_inference.providers.any_llm.options import Config
from caravan_inference.providers.any_llm.sdk import Client, Package

log = logging.getLogger(__name__)

MAX_CLIENTS: Final = 32
"""Keys whose connections are kept."""
_CLOSE_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Entry:
    client: Client
    users: int = 0
    retired: bool = False


class Clients:
    """A cache by key, least recently used first."""

    def __init__(self, package: Package, config: Config) -> None:
        self._package = package
        self._config = config
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def use(self, key: str) -> AsyncIterator[Client]:
        """The client for `key`; "" is the provider's own. Raises any-llm's errors (no key at all, for one)."""
        entry = self._entries.get(key)
        if entry is None:
            async with self._making:
                entry = self._entries.get(key) or await self._make(key)
        self._entries.move_to_end(key)
        entry.users += 1
        try:
            yield entry.client
        finally:
            entry.users -= 1
            if entry.retired and not entry.users:
                await _close(entry.client)

    async def close(self) -> None:
        """Close all of them."""
        while self._entries:
            await self._retire()

    async def _make(self, key: str) -> _Entry:
        arguments = (key or self._config.api_key, self._config.base_url, self._config.client)
        try:
            client = await asyncio.to_thread(self._package.create, *arguments)
        except self._package.errors.AnyLLMError as error:
            if not isinstance(error.original_exception, RuntimeError):
                raise
            client = self._package.create(*arguments)  # gRPC's clients want to be made on their event loop
        entry = self._entries[key] = _Entry(client)
        while len(self._entries) > MAX_CLIENTS:
            await self._retire()
        return entry

    async def _retire(self) -> None:
        _, entry = self._entries.popitem(last=False)
        entry.retired = True
        if not entry.users:
            await _close(entry.client)


async def _close(client: Client) -> None:
    """any-llm has no close of its own; the SDK's client mostly has one."""
    inner: Any = getattr(client, "client", None)
    close = getattr(inner, "aclose", None) or getattr(inner, "close", None)
    if not callable(close):
        return
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            done = close()
            if inspect.isawaitable(done):
                await done
    except Exception as error:  # noqa: BLE001  any SDK; nobody waits for it, and the connections go with the object
        log.info("an SDK's client did not close: %r", error)
