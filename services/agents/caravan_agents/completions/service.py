"""What one may ask about stored completions, each for the tenant who asks.

A completion is in the work queue before its client has the whole answer, but not at once in the tables. So whoever asks
for one that is not there, or for a list, waits until everything that the queue had by then is done: at most
SETTLE_SECONDS, and not at all while the queue is empty.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from caravan_bus.work.queue import Job, WorkQueue
from caravan_contracts.completions import (
    CompletionDeleted,
    CompletionPage,
    CompletionPiece,
    CompletionRow,
    DeleteCompletion,
    GetCompletion,
    ListCompletionMessages,
    ListCompletions,
    ReadCompletionPiece,
    UpdateCompletion,
    metadata_problem,
)
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest

from caravan_agents.completions import keeping
from caravan_agents.completions.pages import page
from caravan_agents.completions.store import Found, Store
from caravan_agents.errors import no_completion

log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 2.0
T = TypeVar("T")


class CompletionService:
    """One per process."""

    def __init__(self, store: Store, queue: WorkQueue) -> None:
        self._store = store
        self._queue = queue

    async def keep(self, job: Job) -> None:
        """Do one job of the queue; it is stored when this returns. Raises JobRefused, DependencyDown."""
        await self._store.keep(keeping.read(job))

    async def list(self, asked: ListCompletions, context: RequestContext) -> CompletionPage:
        """A page. Raises NotFound for an `after` that never was, DependencyDown."""
        tenant = context.principal.tenant
        await self._settle(context)
        after = None
        if asked.after:
            after = await self._store.place(tenant, _known(asked.after, "after"))
            if after is None:
                raise no_completion(asked.after, "after")
        rows = await self._store.select(tenant, asked, after)
        return await page(self._store, tenant, rows, asked.limit)

    async def get(self, asked: GetCompletion, context: RequestContext) -> CompletionRow:
        """One. Raises NotFound, DependencyDown."""
        tenant = context.principal.tenant
        found = await self._sought(asked.id, context, lambda: self._store.find(tenant, asked.id))
        return await self._row(tenant, found)

    async def update(self, asked: UpdateCompletion, context: RequestContext) -> CompletionRow:
        """Replace the metadata. Raises InvalidRequest, NotFound, DependencyDown."""
        if wrong := metadata_problem(asked.metadata):
            raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
        tenant = context.principal.tenant
        found = await self._sought(asked.id, context, lambda: self._store.describe(tenant, asked.id, asked.metadata))
        return await self._row(tenant, found)

    async def delete(self, asked: DeleteCompletion, context: RequestContext) -> CompletionDeleted:
        """Forget it. Raises NotFound, DependencyDown."""
        tenant = context.principal.tenant

        async def forget() -> bool | None:
            return await self._store.forget(tenant, asked.id) or None

        await self._sought(asked.id, context, forget)
        return CompletionDeleted(id=asked.id)

    async def messages(self, asked: ListCompletionMessages, context: RequestContext) -> CompletionPage:
        """The messages of its request. Raises NotFound, DependencyDown."""
        tenant = context.principal.tenant
        found = await self._sought(asked.id, context, lambda: self._store.find(tenant, asked.id))
        after = None
        if asked.after:
            head, _, tail = asked.after.rpartition("-")
            if head != found.id or not tail.isdecimal() or len(tail) > 9:
                raise InvalidRequest(f"there is no message {asked.after[:200]!r} in it", param="after")
            after = int(tail)
        rows = await self._store.messages(tenant, found.number, after, asked.limit, asked.order == "asc")
        return await page(self._store, tenant, rows, asked.limit, messages=True)

    async def piece(self, asked: ReadCompletionPiece, context: RequestContext) -> CompletionPiece:
        """Bytes of a large object. Raises NotFound, DependencyDown."""
        number, dot, position = asked.ref.partition(".")
        if not number.isdecimal() or (dot and not position.isdecimal()) or len(asked.ref) > 24:
            raise InvalidRequest("that is no ref", param="ref")
        data = await self._store.piece(
            context.principal.tenant, int(number), int(position) if dot else None, asked.offset
        )
        if data is None:
            raise no_completion(asked.ref, "ref")
        return CompletionPiece(data=base64.b64encode(data).decode())

    async def _row(self, tenant: str, found: Found) -> CompletionRow:
        made = await page(self._store, tenant, [found], 1)
        if not made.rows:
            raise no_completion(found.id)
        return made.rows[0]

    async def _sought(self, id: str, context: RequestContext, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` finds, now or once the queue is through."""
        _known(id, "completion_id")
        found = await look()
        if found is None:
            await self._settle(context)
            found = await look()
        if found is None:
            raise no_completion(id)
        return found

    async def _settle(self, context: RequestContext) -> None:
        try:
            if not await self._queue.caught_up(max(0.0, min(SETTLE_SECONDS, context.remaining - 1.0))):
                log.info("the queue is behind: an answer may be without what was stored last")
        except CaravanError as error:
            log.info("the queue cannot be asked how far it is: %s", error.message)


def _known(id: str, param: str) -> str:
    """`id`, if any completion can have it. PostgreSQL takes no zero byte."""
    if "\0" in id or len(id) > 512:
        raise no_completion(id, param)
    return id
