"""What every shield must do. A class of its tests inherits :class:`ShieldContract` and says how it is made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import LONGEST_MATCH, ShieldSpec
from caravan_safety.shields import kinds
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.parts import Parts


class ShieldContract:
    """`harmful` is flagged with `label` among its categories, `harmless` is not."""

    type: ClassVar[str]
    params: ClassVar[dict[str, Any]] = {}
    model: ClassVar[str] = ""
    harmful: ClassVar[str]
    harmless: ClassVar[str] = "The weather is fine today."
    label: ClassVar[str]

    @pytest.fixture
    def parts(self) -> Parts:
        return Parts()

    @pytest.fixture
    def shield(self, parts: Parts) -> Shield:
        spec = ShieldSpec(provider_type=self.type, provider_shield_id=self.model, params=self.params)
        return kinds.make(spec, parts)

    async def look(self, shield: Shield, *texts: str, **more: Any) -> Opinion:
        return await shield.look(Passage(texts, until=time.monotonic() + 30, **more))

    def test_it_answers_to_its_type(self, shield: Shield) -> None:
        assert self.type in shield.types

    async def test_it_flags_what_is_harmful(self, shield: Shield) -> None:
        found = await self.look(shield, self.harmful)
        assert found.flagged
        assert self.label in found.categories
        assert all(0 <= score <= 1 for score in found.categories.values())
        assert found.message

    async def test_it_lets_pass_what_is_not(self, shield: Shield) -> None:
        found = await self.look(shield, self.harmless)
        assert not found.flagged
        assert not found.findings

    async def test_nothing_is_nothing(self, shield: Shield) -> None:
        assert not (await self.look(shield, "")).flagged

    async def test_findings_say_in_which_text_and_where(self, shield: Shield) -> None:
        texts = [self.harmless, self.harmful, self.harmless]
        found = await self.look(shield, *texts)
        assert found.flagged
        assert bool(found.findings) == shield.finds_places
        end = (0, 0)
        for each in found.findings:
            assert each.text == 1
            assert (each.text, each.start) >= end
            assert 0 <= each.start < each.end <= len(texts[1])
            end = (each.text, each.end)

    async def test_what_is_settled_stays_settled_whatever_follows(self, shield: Shield) -> None:
        text = f"{self.harmless} {self.harmful} {self.harmless}"
        whole = await self.look(shield, text)
        for cut in range(len(text) + 1):
            before = await self.look(shield, text[:cut], final=False)
            settled = cut if before.settled is None else before.settled
            assert 0 <= settled <= cut
            if shield.finds_places:
                behind = [each for each in whole.findings if each.end > cut and each.end - each.start <= LONGEST_MATCH]
                assert all(each.start >= settled for each in behind), text[:cut]

    async def test_it_looks_at_many_passages_at_once(self, shield: Shield) -> None:
        asked = [self.look(shield, self.harmful if i % 2 else self.harmless) for i in range(6)]
        assert [each.flagged for each in await asyncio.gather(*asked)] == [False, True] * 3

    def test_a_setting_that_does_not_exist_is_a_mistake(self, parts: Parts) -> None:
        spec = ShieldSpec(provider_type=self.type, provider_shield_id=self.model, params={**self.params, "no_such": 1})
        with pytest.raises(InvalidRequest, match="no_such"):
            kinds.make(spec, replace(parts))
