"""All that guardrails demand of one request, and what a process needs for that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Final

from caravan_contracts.context import RequestContext
from caravan_contracts.inference import Verb
from caravan_contracts.openai import RequestFacts
from caravan_contracts.safety import Said, Stage

from caravan_bus import metrics
from caravan_bus.answer import Answer
from caravan_bus.catalog import Catalog
from caravan_bus.guarding.audit import Audit
from caravan_bus.guarding.checker import Checker
from caravan_bus.guarding.gated import Gated, Verdict
from caravan_bus.guarding.guarded import Guarded
from caravan_bus.guarding.judging import Judge, Passage
from caravan_bus.guarding.policy import Policies, Policy, Rule
from caravan_bus.guarding.question import Question
from caravan_bus.guarding.seen import Seen

log = logging.getLogger(__name__)

MOST_OBSERVED: Final = 256
"""Verdicts for the audit alone that are under way; what is more is not looked at, and counted."""
_ANSWERS: Final = (Verb.CHAT, Verb.COMPLETIONS)


class Guarding:
    """One per process that asks for inference."""

    def __init__(self, checker: Checker, audit: Audit) -> None:
        self._checker = checker
        self._audit = audit
        self._policies = Policies()
        self._seen = Seen()
        self._observing: set[asyncio.Task[None]] = set()

    def policy(self, catalog: Catalog, names: Iterable[str], context: RequestContext) -> Policy | None:
        """See :meth:`Policies.of`."""
        return self._policies.of(catalog, names, context.principal)

    def guard(self, policy: Policy, verb: Verb, body: bytes, facts: RequestFacts, context: RequestContext) -> Guard:
        """For a request that `policy` holds for. Raises InvalidRequest."""
        judge = Judge(self._checker, self._audit, context, facts.model)
        return Guard(self, policy, judge, Question(policy, judge, self._seen, verb, body), verb, facts)

    def observe(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something looked at that nobody waits for."""
        if len(self._observing) >= MOST_OBSERVED:
            work.close()
            metrics.GUARDRAILS.labels("", "lost").inc()
            return
        task = asyncio.create_task(work, name="guardrail-observe")
        self._observing.add(task)
        task.add_done_callback(self._observed)

    async def close(self, seconds: float) -> None:
        """Give what is only looked at some time."""
        if self._observing:
            await asyncio.wait(set(self._observing), timeout=seconds)
        for task in self._observing:
            task.cancel()

    def _observed(self, task: asyncio.Task[None]) -> None:
        self._observing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a guardrail that observes failed", exc_info=error)


class Guard:
    """Of one request."""

    def __init__(
        self, guarding: Guarding, policy: Policy, judge: Judge, question: Question, verb: Verb, facts: RequestFacts
    ) -> None:
        self._guarding = guarding
        self._policy = policy
        self._judge = judge
        self._question = question
        self._verb, self._facts = verb, facts
        self._verdict = Verdict(question.blocked) if question.blockable else None
        if question.observed:
            guarding.observe(question.observe())

    async def body(self) -> bytes:
        """What the model is to be asked. Raises ContentFiltered."""
        try:
            return await self._question.body()
        except BaseException:
            if self._verdict is not None:
                self._verdict.cancel()
            raise

    async def open(self, answer: Answer, accepted: Callable[[], Awaitable[None]]) -> Answer:
        """The answer as its reader may have it. `accepted` waits for a worker. Raises ContentFiltered, and what
        `accepted` raises."""
        if self._verdict is None:
            await accepted()
        else:
            try:
                await self._verdict.until(accepted, answer.cancel)
            except BaseException:
                self._verdict.cancel()
                raise
            answer = Gated(answer, self._verdict)
        if self._verb in _ANSWERS and self._policy.looks_at(Stage.OUTPUT, Stage.TOOL_ARGUMENTS):
            before = self._question.said()
            overhear = partial(_overhear, self._guarding, self._policy, self._judge, before)
            answer = Guarded(answer, self._policy, self._judge, self._verb, self._facts, before, overhear)
        return answer


def _overhear(
    guarding: Guarding, policy: Policy, judge: Judge, before: Sequence[Said], passages: Sequence[tuple[Stage, str]]
) -> None:
    """Have what an answer says looked at. It holds nothing of the question but its end: that may be large."""

    async def look(rule: Rule, passage: Passage) -> None:
        await judge.ask(rule, passage)

    for stage, text in passages:
        for rule in policy.observing(stage):
            guarding.observe(look(rule, Passage(stage, [text], before)))
