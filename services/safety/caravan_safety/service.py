"""What is asked of shields, and what is told of their verdicts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from caravan_bus.verdicts import VerdictLog, new_verdict_id
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DeadlineExceeded, PermissionDenied, RequestTooLarge
from caravan_contracts.safety import (
    MOST_BYTES,
    Check,
    ListVerdicts,
    Verdict,
    VerdictFact,
    VerdictPage,
    Verdicts,
)

from caravan_safety.shields.base import Passage
from caravan_safety.shields.opened import Shields
from caravan_safety.store import Store


class SafetyService:
    """One per process."""

    def __init__(self, shields: Shields, store: Store, log: VerdictLog) -> None:
        self._shields = shields
        self._store = store
        self._log = log

    async def check(self, request: Check, context: RequestContext) -> Verdicts:
        """Every shield at once. A shield without a verdict says so in its own; raises RequestTooLarge,
        DependencyDown while the registry is not known, DeadlineExceeded."""
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in request.texts)
        if size > MOST_BYTES:
            raise RequestTooLarge(f"one check takes {MOST_BYTES} bytes of text, not {size}: make several of it")
        await self._shields.need()
        seconds = min(request.timeout, context.remaining)
        if seconds <= 0:
            raise DeadlineExceeded("the request's time was over before its texts were checked")
        passage = Passage(
            texts=request.texts,
            stage=request.stage,
            before=request.before,
            final=request.final,
            principal=context.principal,
            request_id=context.request_id,
            until=time.monotonic() + seconds,
        )
        asked = (self._shields.verdict(shield, passage, seconds) for shield in request.shields)
        verdicts = await asyncio.gather(*asked)
        self.tell(verdicts, request, context)
        return Verdicts(verdicts=verdicts)

    async def list_verdicts(self, request: ListVerdicts, context: RequestContext) -> VerdictPage:
        """Of the caller's tenant. Raises PermissionDenied, NotFound, DependencyDown."""
        if not context.principal.may("admin"):
            raise PermissionDenied(f"{context.principal.subject!r} may not read the audit: it needs the role admin")
        return await self._store.page(context.principal.tenant, request)

    def tell(self, verdicts: Sequence[Verdict], request: Check, context: RequestContext) -> None:
        """The audit what was said."""
        at, characters = time.time(), sum(map(len, request.texts))
        self._log.tell(
            [
                VerdictFact(
                    id=new_verdict_id(),
                    at=at,
                    tenant=context.principal.tenant,
                    subject=context.principal.subject,
                    request_id=context.request_id,
                    stage=request.stage,
                    guardrail=request.guardrail,
                    shield=verdict.shield,
                    action=request.action,
                    flagged=verdict.flagged,
                    categories=verdict.categories,
                    model=request.model,
                    error=verdict.error,
                    on_failure=request.on_failure,
                    seconds=verdict.seconds,
                    characters=characters,
                )
                for verdict in verdicts
            ]
        )
