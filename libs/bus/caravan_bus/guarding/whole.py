"""An answer that does not stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.safety import Said, Stage

from caravan_bus.guarding import escapes, filtered
from caravan_bus.guarding.judging import Judge, Passage
from caravan_bus.guarding.logprobs import harmless
from caravan_bus.guarding.packing import packed
from caravan_bus.guarding.pieces import Piece, pieces
from caravan_bus.guarding.policy import Policy
from caravan_bus.guarding.ruling import Blocked, Mask, masked, merged


class Whole:
    """One answer."""

    def __init__(self, policy: Policy, judge: Judge, before: Sequence[Said], answer: bytes) -> None:
        """`before` is the end of the conversation. Raises UpstreamBroke for what cannot be read."""
        try:
            self._data = orjson.loads(answer)
            found = self._data["choices"]
            self._choices: list[dict[str, Any]] = [dict(choice) for choice in found]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise UpstreamBroke("a model gave an answer that a guardrail cannot read") from error
        self._policy, self._judge, self._before = policy, judge, before
        self._answer = answer
        self.blocked: Blocked | None = None
        """Why some of it may not pass."""

    def heard(self) -> list[tuple[Stage, str]]:
        """Every text in it."""
        return [(piece.stage, piece.text) for choice in self._choices for piece in pieces(choice)]

    async def judged(self) -> bytes:
        """What of it may pass."""
        changed = False
        for index, choice in enumerate(self._choices):
            blocked = await self._judge_choice(choice)
            if isinstance(blocked, Blocked):
                self.blocked = self.blocked or blocked
                self._choices[index] = filtered.choice(choice)
            changed = changed or bool(blocked)
        if not changed:
            return self._answer
        told = self.blocked.told() if self.blocked is not None else None
        extension = {filtered.FIELD: told} if told is not None else {}
        return orjson.dumps({**self._data, "choices": self._choices, **extension})

    async def _judge_choice(self, choice: dict[str, Any]) -> Blocked | bool:
        """Why it may not pass, or whether it is another one now."""
        found: dict[Stage, list[Piece]] = defaultdict(list)
        for piece in pieces(choice):
            found[piece.stage].append(piece)
        changed = False
        if choice.get("logprobs") and self._policy.gating(Stage.OUTPUT):
            texts = [piece.text for piece in found[Stage.OUTPUT]]
            choice["logprobs"] = harmless(choice["logprobs"], texts[0] if len(texts) == 1 else "")
            changed = True
        for stage, some in found.items():
            result = await self._judge_pieces(stage, some)
            if isinstance(result, Blocked):
                return result
            if result and "logprobs" in choice:
                choice["logprobs"] = None
            changed = changed or result
        return changed

    async def _judge_pieces(self, stage: Stage, found: list[Piece]) -> Blocked | bool:
        rules = self._policy.gating(stage)
        if not rules:
            return False
        read = [escapes.said(piece.text, True) if piece.source else (piece.text, None) for piece in found]
        packs = list(packed((index, text) for index, (text, _) in enumerate(read)))
        rulings = await asyncio.gather(
            *(self._judge.rule(rules, Passage(stage, [part.text for part in pack], self._before)) for pack in packs)
        )
        masks: dict[int, list[Mask]] = defaultdict(list)
        for pack, ruling in zip(packs, rulings, strict=True):
            if ruling.blocked is not None:
                return ruling.blocked
            for part, some in zip(pack, ruling.masks, strict=True):
                masks[part.index] += [_moved(mask, part.start, read[part.index][1]) for mask in some]
        for index, some in masks.items():
            found[index].put(masked(found[index].text, merged(some)))
        return any(masks.values())


def _moved(mask: Mask, by: int, places: list[int] | None) -> Mask:
    """Where it stands in what is written."""
    start, end = mask.start + by, mask.end + by
    if places is None:
        return Mask(start, end, mask.text)
    return Mask(places[start], places[end], escapes.written(mask.text))
