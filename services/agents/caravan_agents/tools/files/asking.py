"""Asks vector stores, all at once and each within a time, and puts what they found together."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any, Final

from caravan_bus.requests import Requester
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, NotFound
from caravan_contracts.users import VECTOR
from caravan_contracts.vectors import PAGE_BYTES, Found, GetStore, SearchPage, VectorStore

from caravan_agents.tools.files.options import FileSearchOptions

log = logging.getLogger(__name__)

_AT_ONCE: Final = 32
"""Searches of this process; more wait, within their time."""
_PAUSE: Final = (0.2, 0.6)
"""Before a second try."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one search."""

    rows: list[dict[str, Any]]
    """OpenAI's results, best first."""
    errors: list[str]
    """Why stores could not be searched, a sentence for each that could not."""


class StoreSearch:
    """One per process."""

    def __init__(self, requester: Requester, seconds: float) -> None:
        """`seconds` are those of one search of one store, its second try included."""
        self._requester = requester
        self._seconds = seconds
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def check(self, stores: tuple[str, ...], context: RequestContext, param: str) -> None:
        """Raises NotFound naming `param` for a store that is not the tenant's, and what keeps it from being known."""
        for found in await asyncio.gather(*(self._known(store, context) for store in stores)):
            if isinstance(found, NotFound):
                raise NotFound(found.message, param=param) from found
            if found is not None:
                raise found

    async def search(self, options: FileSearchOptions, queries: list[str], context: RequestContext) -> Answers:
        """What all stores have. A store that fails does not keep the others from being heard."""
        found: list[Found] = []
        errors = []
        asked = [self._search(options, store, queries, context) for store in options.stores]
        for store, answer in zip(options.stores, await asyncio.gather(*asked), strict=True):
            if isinstance(answer, CaravanError):
                errors.append(f"the vector store {store!r} could not be searched: {answer.message}")
            else:
                found += answer.data
        return Answers(_best(found, options.results), errors)

    async def _known(self, store: str, context: RequestContext) -> CaravanError | None:
        try:
            await self._requester.ask(VECTOR, "get_store", GetStore(id=store), VectorStore, context)
        except CaravanError as error:
            return error
        return None

    async def _search(
        self, options: FileSearchOptions, store: str, queries: list[str], context: RequestContext
    ) -> SearchPage | CaravanError:
        until = asyncio.get_running_loop().time() + min(self._seconds, max(0.0, context.remaining))
        try:
            async with asyncio.timeout_at(until), self._turn:
                return await self._twice(options, store, queries, context, until)
        except TimeoutError:
            return DeadlineExceeded(f"it did not answer within {self._seconds:g} s")
        except CaravanError as error:
            return error

    async def _twice(
        self, options: FileSearchOptions, store: str, queries: list[str], context: RequestContext, until: float
    ) -> SearchPage:
        question = options.question(store, queries)
        try:
            return await self._requester.ask(VECTOR, "search_store", question, SearchPage, context, self._seconds)
        except CaravanError as error:
            pause = random.uniform(*_PAUSE)
            if not error.retryable or asyncio.get_running_loop().time() + pause > until:
                raise
            log.info("a vector store is searched again in %.1f s: %s", pause, error.message)
            await asyncio.sleep(pause)
        return await self._requester.ask(VECTOR, "search_store", question, SearchPage, context, self._seconds)


def _best(found: list[Found], most: int) -> list[dict[str, Any]]:
    """The best of all stores, each passage once, and no more text than one store may tell."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    room = PAGE_BYTES
    for one in sorted(found, key=lambda one: -one.score):
        text = "\n".join(part.text for part in one.content)
        if (one.file_id, text) in rows:
            continue
        room -= len(text.encode())
        if len(rows) == most or (rows and room < 0):
            break
        rows[one.file_id, text] = {
            "file_id": one.file_id,
            "filename": one.filename,
            "score": one.score,
            "attributes": one.attributes,
            "text": text,
        }
    return list(rows.values())
