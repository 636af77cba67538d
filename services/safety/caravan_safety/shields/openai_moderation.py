"""``remote::openai-moderation``: OpenAI's ``POST /v1/moderations``, or a server that has its shape."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.judging import together
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.reaching import Reaching


class Settings(Params):
    """Of one shield."""

    base_url: str = "https://api.openai.com/v1"
    api_key: str = ""
    """A reference: ``${env.OPENAI_API_KEY}``."""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """Of a category's score; None = as the server flags it."""


class OpenAIModeration:
    """Judges passages, with images; names no places."""

    types = ("remote::openai-moderation",)
    sees = True
    finds_places = False

    def __init__(self, settings: Settings, model: str, reaching: Reaching) -> None:
        self._settings = settings
        self._model = model
        self._reaching = reaching

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, parts.secrets(spec.params))
        return cls(settings, spec.provider_shield_id, parts.addresses)

    async def look(self, passage: Passage) -> Opinion:
        url = f"{self._settings.base_url.rstrip('/')}/moderations"
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = await self._reaching.post(url, orjson.dumps(self._body(passage)), headers, passage)
        try:
            return together([self._opinion(row) for row in answer["results"]])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UpstreamFailed("the moderation's answer cannot be read") from error

    def _body(self, passage: Passage) -> dict[str, Any]:
        made: dict[str, Any] = {"model": self._model} if self._model else {}
        if not passage.images:
            return made | {"input": list(passage.texts)}
        texts = [{"type": "text", "text": text} for text in passage.texts]
        return made | {"input": [*texts, *({"type": "image_url", "image_url": {"url": url}} for url in passage.images)]}

    def _opinion(self, row: dict[str, Any]) -> Opinion:
        scores = {str(name): float(score) for name, score in row["category_scores"].items() if score is not None}
        least = self._settings.threshold
        if least is None:
            flagged = bool(row["flagged"])
            meant = [name for name, yes in row["categories"].items() if yes]
        else:
            meant = [name for name, score in scores.items() if score >= least]
            flagged = bool(meant)
        return Opinion(flagged, scores, message=", ".join(meant) if flagged else "")
