"""Asking for verdicts: all rules at once, each within its time, and over as soon as one of them blocks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.safety import Check, Said, Stage, Verdicts

from caravan_bus import metrics
from caravan_bus.guarding.audit import Audit, unheard
from caravan_bus.guarding.checker import Checker
from caravan_bus.guarding.policy import Rule, Rules
from caravan_bus.guarding.ruling import Ruling, ruled, silent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passage:
    """Texts that are judged together."""

    stage: Stage
    texts: Sequence[str]
    before: Sequence[Said] = ()
    final: bool = True
    """False: more of the last text is to come."""
    known: int = 0
    """Characters of the first text that were judged before."""


class Judge:
    """Of one request."""

    __slots__ = ("_audit", "_checker", "_model", "context")

    def __init__(self, checker: Checker, audit: Audit, context: RequestContext, model: str) -> None:
        """`model` as the client wrote it, for the audit."""
        self._checker = checker
        self._audit = audit
        self._model = model
        self.context = context

    async def each(self, wanted: Iterable[tuple[Rules, Passage]]) -> list[Ruling]:
        """What all rules make of their passages, in the order of these. When one of them blocks, the others are not
        waited for: what they say is left out."""
        made: list[Ruling] = []
        tasks: dict[asyncio.Task[Ruling], Ruling] = {}
        for rules, passage in wanted:
            made.append(Ruling.nothing(passage.texts))
            for rule in rules:
                tasks[asyncio.create_task(self.ask(rule, passage), name="guardrail")] = made[-1]
        left = set(tasks)
        try:
            while left and not any(ruling.blocked for ruling in made):
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    tasks[task].join(task.result())
        finally:
            for task in left:
                task.cancel()
        return made

    async def rule(self, rules: Rules, passage: Passage) -> Ruling:
        """What all of `rules` make of a passage."""
        return (await self.each([(rules, passage)]))[0]

    async def ask(self, rule: Rule, passage: Passage) -> Ruling:
        """What one rule makes of it."""
        verdicts = await self._verdicts(rule, passage)
        made = (
            silent(rule, passage.texts)
            if verdicts is None
            else ruled(rule, verdicts.verdicts, passage.texts, passage.final, passage.known)
        )
        self._count(rule, made, passage)
        return made

    async def _verdicts(self, rule: Rule, passage: Passage) -> Verdicts | None:
        """None when there is none in time; then the audit is told."""
        check, began = rule.check, time.perf_counter()
        question = Check(
            shields=check.shields,
            stage=passage.stage,
            texts=list(passage.texts),
            before=list(passage.before),
            final=passage.final,
            guardrail=rule.guardrail,
            action=check.action,
            on_failure=check.on_failure,
            model=self._model,
            timeout=check.timeout,
        )
        try:
            async with asyncio.timeout(check.timeout):
                return await self._checker.check(question, self.context)
        except (CaravanError, TimeoutError) as error:
            why = error.message if isinstance(error, CaravanError) else f"no verdict in {check.timeout:g} s"
            log.warning("guardrail %s: %s", rule.guardrail, why, extra={"request_id": self.context.request_id})
            facts = unheard(rule, passage.stage, passage.texts, self.context, self._model, why)
            self._audit.tell(facts)
            metrics.GUARDRAILS.labels(rule.label, "silent").inc()
            return None
        finally:
            metrics.GUARDRAIL_SECONDS.labels(passage.stage.value).observe(time.perf_counter() - began)

    @staticmethod
    def _count(rule: Rule, made: Ruling, passage: Passage) -> None:
        # of a stream what is not settled is found again
        masks = (mask for masks in made.masks for mask in masks if passage.final or mask.end <= made.settled)
        if made.blocked is not None:
            outcome = "blocked" if rule.gates else "observed"
        elif next(masks, None) is not None:
            outcome = "masked"
        else:
            return
        metrics.GUARDRAILS.labels(rule.label, outcome).inc()
