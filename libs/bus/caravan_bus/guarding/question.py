"""What a request says to its model: masked before the model is asked, judged while it is asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.inference import Verb
from caravan_contracts.safety import Action, Said, Stage

from caravan_bus.guarding.judging import Judge, Passage
from caravan_bus.guarding.packing import Slice, packed
from caravan_bus.guarding.policy import Policy, Rule
from caravan_bus.guarding.ruling import Blocked, Mask, Ruling, masked, merged
from caravan_bus.guarding.seen import Seen, key_of
from caravan_bus.guarding.texts import Place, places, unreadable

STAGES: Final = (Stage.INPUT, Stage.TOOL_RESULTS, Stage.EMBEDDINGS)
_MOST_BEFORE: Final = 8 * 1024
"""Characters of the conversation that are sent along."""
_MOST_SAID: Final = 16
_AT_ONCE: Final = 4
"""Checks of one request and rule that are under way."""

Masks = dict[int, list[Mask]]
"""By the place of their text."""


class Question:
    """Of one request."""

    def __init__(self, policy: Policy, judge: Judge, seen: Seen, verb: Verb, body: bytes) -> None:
        """`body` is JSON that was checked. Raises InvalidRequest for tokens where a rule has to read text."""
        self._policy = policy
        self._judge = judge
        self._seen = seen
        self._body = body
        self._data: dict[str, Any] = orjson.loads(body)
        self._places: list[Place] = list(places(verb, self._data))
        self._texts = [place.text for place in self._places]
        """As they were written."""
        field = unreadable(verb, self._data)
        stage = Stage.EMBEDDINGS if verb is Verb.EMBEDDINGS else Stage.INPUT
        if field and not all(rule.open for rule in policy.gating(stage)):
            raise InvalidRequest(
                f"a guardrail looks at this request: send '{field}' as text, not as tokens",
                param=field,
                code="tokens_not_allowed",
            )

    async def body(self) -> bytes:
        """What the model is to be asked. Raises ContentFiltered for what has to be masked, and cannot be."""
        every: Masks = defaultdict(list)
        for found in await asyncio.gather(*(self._found(rule, stage) for rule, stage in self._rules(Action.MASK))):
            if isinstance(found, Blocked):
                raise found.error()
            for index, masks in found.items():
                every[index] += masks
        if not any(every.values()):
            return self._body
        texts = {index: masked(self._texts[index], merged(masks)) for index, masks in every.items()}
        for index, text in texts.items():
            self._places[index].replace(text)
        return orjson.dumps(self._data)

    @property
    def blockable(self) -> bool:
        """Whether a verdict has to be waited for."""
        return bool(self._rules(Action.BLOCK))

    @property
    def observed(self) -> bool:
        """Whether somebody only looks."""
        return bool(self._rules(Action.OBSERVE))

    async def blocked(self) -> Blocked | None:
        """Why it may not be answered, if so."""
        wanted = self._rules(Action.BLOCK)
        left = {asyncio.create_task(self._found(rule, stage), name="guardrail") for rule, stage in wanted}
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    found = task.result()
                    if isinstance(found, Blocked):
                        return found
            return None
        finally:
            for task in left:
                task.cancel()

    async def observe(self) -> None:
        """Have it judged for the audit alone."""
        await asyncio.gather(*(self._found(rule, stage) for rule, stage in self._rules(Action.OBSERVE)))

    def said(self, before: int | None = None) -> list[Said]:
        """The end of the conversation, or of what stands before one of its texts."""
        made: list[Said] = []
        room = _MOST_BEFORE
        for index in reversed(range(len(self._texts) if before is None else before)):
            text = self._texts[index][-room:]
            made.append(Said(role=self._places[index].role, content=text))
            room -= len(text)
            if room <= 0 or len(made) == _MOST_SAID:
                break
        return made[::-1]

    def _rules(self, action: Action) -> list[tuple[Rule, Stage]]:
        """Those that have anything to look at."""
        stages = {place.stage for place in self._places}.intersection(STAGES)
        rules = self._policy.rules
        return [
            (rule, stage)
            for rule in rules
            if rule.check.action is action
            for stage in rule.check.stages
            if stage in stages
        ]

    async def _found(self, rule: Rule, stage: Stage) -> Masks | Blocked:
        """What a rule makes of the texts of a stage."""
        masks: Masks = defaultdict(list)
        new: list[tuple[int, str]] = []
        for index, text in enumerate(self._texts):
            if self._places[index].stage is not stage:
                continue
            known = self._seen.get(self._key(rule, index))
            if known is None:
                new.append((index, text))
            else:
                masks[index] += known
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def judge(pack: list[Slice]) -> Ruling:
            async with at_once:
                texts = [piece.text for piece in pack]
                return await self._judge.ask(rule, Passage(stage, texts, self.said(pack[0].index)))

        packs = list(packed(new))
        rulings = await asyncio.gather(*(judge(pack) for pack in packs))
        passed = {index for index, _ in new}
        for pack, ruling in zip(packs, rulings, strict=True):
            if ruling.blocked is not None and rule.gates:
                return ruling.blocked
            for piece, found in zip(pack, ruling.masks, strict=True):
                start = piece.start
                masks[piece.index] += [Mask(start + mask.start, start + mask.end, mask.text) for mask in found]
                if ruling.blocked is not None or not ruling.heard:
                    passed.discard(piece.index)
        for index in passed:
            self._seen.put(self._key(rule, index), tuple(merged(masks[index])))
        return masks

    def _key(self, rule: Rule, index: int) -> bytes:
        before = self._texts[index - 1] if index else ""
        return key_of(self._judge.context.principal.tenant, rule, before, self._texts[index])
