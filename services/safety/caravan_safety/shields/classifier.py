"""``remote::classifier``: a text classifier behind HTTP, as Text Embeddings Inference and Hugging Face's endpoints have
it: ``{"inputs": [...]}`` in, for each a list of ``{"label", "score"}`` out."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.gathering import gathered
from caravan_safety.shields import classes, judging
from caravan_safety.shields.base import Opinion, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.reaching import Reaching


class Settings(classes.Settings):
    """Of one shield."""

    url: str
    """Where texts are posted, path included."""
    api_key: str = ""
    """A reference."""
    batch: int = Field(default=16, ge=1, le=256)
    """Pieces of texts in one question."""


class Classifier:
    """Judges passages; names no places."""

    types = ("remote::classifier",)
    sees = False
    finds_places = False

    def __init__(self, settings: Settings, reaching: Reaching) -> None:
        self._settings = settings
        self._reaching = reaching

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        return cls(read_params(Settings, parts.secrets(spec.params)), parts.addresses)

    async def look(self, passage: Passage) -> Opinion:
        pieces = classes.pieces(passage, self._settings.max_characters)
        size = self._settings.batch
        batches = [pieces[start : start + size] for start in range(0, len(pieces), size)]
        turns = asyncio.Semaphore(judging.AT_ONCE)

        async def ask(batch: list[str]) -> list[dict[str, float]]:
            async with turns:
                return await self._ask(batch, passage)

        rows = await gathered(map(ask, batches))
        return classes.opinion([row for batch in rows for row in batch], self._settings)

    async def _ask(self, texts: list[str], passage: Passage) -> list[dict[str, float]]:
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = orjson.dumps({"inputs": texts, "truncate": True})
        answer = await self._reaching.post(self._settings.url, body, headers, passage)
        try:
            rows = [_scores(row) for row in answer]
        except (KeyError, TypeError, ValueError) as error:
            raise UpstreamFailed("the classifier's answer cannot be read") from error
        if len(rows) != len(texts):
            raise UpstreamFailed(f"the classifier answered for {len(rows)} texts, not {len(texts)}")
        return rows


def _scores(row: Any) -> dict[str, float]:
    labels = row if isinstance(row, list) else [row]
    return {str(each["label"]): float(each["score"]) for each in labels}
