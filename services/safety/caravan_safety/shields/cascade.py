"""``inline::cascade``: cheap shields first, the expensive ones only when those before are unsure."""

from __future__ import annotations

from typing import Self

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import ShieldSpec
from pydantic import Field, model_validator

from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Look, Parts


class Settings(Params):
    """Of one shield."""

    shields: list[str] = Field(min_length=2, max_length=8)
    """Ids, cheapest first; none of them a cascade."""
    sure_below: float = Field(default=0.2, ge=0, le=1)
    """A shield whose highest score is lower is sure that nothing is wrong."""
    sure_above: float = Field(default=0.9, ge=0, le=1)
    """One that flagged with a score as high as this is sure as well. 1 and `confirm`: nothing is flagged by the cheap
    ones alone."""
    confirm: bool = False
    """Whether everything that is flagged goes on to the last shield, which decides."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.sure_below > self.sure_above:
            raise ValueError("sure_below should not be above sure_above")
        return self


class Cascade:
    """What is settled of an unfinished text is what every shield that was asked has settled."""

    types = ("inline::cascade",)
    sees = False
    finds_places = False

    def __init__(self, settings: Settings, look: Look) -> None:
        self._settings = settings
        self._look = look

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        if parts.look is None:
            raise InvalidRequest(
                "a cascade cannot be part of another: name its shields instead", param="params.shields"
            )
        return cls(read_params(Settings, spec.params), parts.look)

    async def look(self, passage: Passage) -> Opinion:
        settled: list[int] = []
        last = len(self._settings.shields) - 1
        for place, shield in enumerate(self._settings.shields):
            opinion = await self._look(shield, passage)
            if opinion.settled is not None:
                settled.append(opinion.settled)
            if place == last or self._is_sure(opinion):
                break
        least = min(settled) if settled else None
        return Opinion(opinion.flagged, opinion.categories, opinion.findings, least, opinion.message)

    def _is_sure(self, opinion: Opinion) -> bool:
        score = max(opinion.categories.values(), default=1.0 if opinion.flagged else 0.0)
        if opinion.flagged:
            return not self._settings.confirm and score >= self._settings.sure_above
        return score < self._settings.sure_below
