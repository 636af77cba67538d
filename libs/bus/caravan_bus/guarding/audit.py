"""Who is told that a shield gave no verdict: the service itself cannot say so when it is not there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from caravan_contracts.context import RequestContext
from caravan_contracts.safety import Stage, VerdictFact

from caravan_bus.guarding.policy import Rule
from caravan_bus.verdicts import new_verdict_id


class Audit(Protocol):
    """See :class:`caravan_bus.verdicts.VerdictLog`, which is one."""

    def tell(self, facts: Sequence[VerdictFact]) -> None:
        """Those of one check. Nobody waits for it."""
        ...


def unheard(
    rule: Rule, stage: Stage, texts: Iterable[str], context: RequestContext, model: str, error: str
) -> list[VerdictFact]:
    """That nobody answered a check."""
    size, at = sum(map(len, texts)), time.time()
    return [
        VerdictFact(
            id=new_verdict_id(),
            at=at,
            tenant=context.principal.tenant,
            subject=context.principal.subject,
            request_id=context.request_id,
            stage=stage,
            guardrail=rule.guardrail,
            shield=shield,
            action=rule.check.action,
            flagged=False,
            model=model,
            error=error,
            on_failure=rule.check.on_failure,
            characters=size,
        )
        for shield in rule.check.shields
    ]
