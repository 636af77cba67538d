"""Who runs a request with an ``Idempotency-Key``, and who attaches to the run there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, Overloaded

from caravan_gateway.idempotency.attached import Attached
from caravan_gateway.idempotency.claim import Claim, RunLost, Scope, reused
from caravan_gateway.idempotency.following import Following
from caravan_gateway.idempotency.run import Ask, Budget, Finish, Run
from caravan_gateway.idempotency.store import RunStore

log = logging.getLogger(__name__)

MAX_RUNS: Final = 4096
"""Of one gateway at a time."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of answers under way in one gateway, beyond which no further run begins."""
_TRIES: Final = 5
_LAST_SECONDS: Final = 2.0


class IdempotencyDesk:
    """One per gateway."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._current: dict[str, Run] = {}
        """By the name of their scope: those that may be followed."""
        self._runs: set[Run] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._budget = Budget(MAX_BYTES)

    async def join(
        self, scope: Scope, body: str, context: RequestContext, ask: Ask, finish: Finish
    ) -> Following | Attached:
        """The answer to a request that runs once: of the run there is, or of a new one. Raises KeyReused, Overloaded,
        DependencyDown, and what a run that is not begun yet failed with."""
        instead_of: Claim | None = None
        for _ in range(_TRIES):
            local = self._follow(scope, body, context)
            if local is not None:
                return local
            if len(self._runs) >= MAX_RUNS or self._budget.full:
                raise Overloaded("too many requests with an Idempotency-Key are under way here", retry_after=1)
            mine = Claim.new(body)
            found = await self._claim(scope, mine, instead_of)
            if found is None:
                return Following(self._begin(scope, mine, ask, finish), context, True)
            local = self._follow(scope, body, context)  # begun here meanwhile
            if local is not None:
                return local
            if found.body != body:
                raise reused()
            attached = Attached(self._store, scope, found, context, self._later)
            try:
                await attached.begin()
            except RunLost:
                instead_of = attached.claim
                continue
            except BaseException:  # a client that went away, too
                attached.leave()
                raise
            return attached
        raise RunLost("this request was begun several times and never finished; send it again", retry_after=1)

    async def close(self, seconds: float) -> None:
        """Let runs that others follow end, for so long; then give them up."""
        tasks = [run.task for run in self._runs]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
        for run in list(self._runs):
            await run.close()
        if self._late:
            await asyncio.wait(set(self._late), timeout=_LAST_SECONDS)

    def _follow(self, scope: Scope, body: str, context: RequestContext) -> Following | None:
        run = self._current.get(scope.name)
        if run is None or not run.open:
            return None
        if run.claim.body != body:
            raise reused()
        return Following(run, context, False)

    async def _claim(self, scope: Scope, mine: Claim, instead_of: Claim | None) -> Claim | None:
        claiming = asyncio.create_task(self._store.claim(scope, mine, instead_of), name="idempotent-claim")
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._later(self._release(scope, mine, claiming))
            raise

    async def _release(self, scope: Scope, mine: Claim, claiming: asyncio.Task[Claim | None]) -> None:
        """The client went away before its run began."""
        try:
            if await claiming is None:
                await self._store.release(scope, mine)
        except CaravanError as error:
            log.info("a claim ends by itself in some seconds: %s", error.message)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="idempotent-later")
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _begin(self, scope: Scope, mine: Claim, ask: Ask, finish: Finish) -> Run:
        run = self._current[scope.name] = Run(self._store, scope, mine, ask, finish, self._budget)
        self._runs.add(run)
        run.task.add_done_callback(lambda _: self._over(scope, run))
        return run

    def _over(self, scope: Scope, run: Run) -> None:
        self._runs.discard(run)
        if self._current.get(scope.name) is run:
            del self._current[scope.name]
        if run.keeping is not None and not run.keeping.done():
            self._late.add(run.keeping)
            run.keeping.add_done_callback(self._late.discard)
