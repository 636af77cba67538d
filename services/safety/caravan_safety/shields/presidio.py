"""``inline::presidio``: personal data as Microsoft Presidio finds it, names and places of people among it.

Needs the package ``presidio-analyzer`` and a model of spaCy's. What it finds depends on the words around, so an
unfinished text is settled but for its last LONGEST_MATCH characters.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Final

from caravan_contracts.safety import LONGEST_MATCH, Finding, ShieldSpec
from pydantic import Field

from caravan_safety.shields import packages
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_PACKAGE: Final = "presidio_analyzer"


class Settings(Params):
    """Of one shield."""

    language: str = "en"
    nlp_model: str = "en_core_web_sm"
    """A model of spaCy's that is installed where the service runs."""
    entities: list[str] | None = None
    """Presidio's names (``PERSON``, ``LOCATION`` …); None = all that it knows."""
    threshold: float = Field(default=0.5, ge=0, le=1)


class Presidio:
    """Finds places."""

    types = ("inline::presidio",)
    sees = False
    finds_places = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loading = threading.Lock()
        self._engine: Any = None

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, spec.params)
        packages.need(_PACKAGE, "the package presidio-analyzer and a model of spaCy's", cls.types[0])
        return cls(settings)

    async def look(self, passage: Passage) -> Opinion:
        found = [each for i, text in enumerate(passage.texts) for each in await asyncio.to_thread(self._scan, i, text)]
        categories: dict[str, float] = {}
        for finding, score in found:
            categories[finding.label] = max(score, categories.get(finding.label, 0.0))
        findings = [finding for finding, _ in found]
        settled = None if passage.final or not passage.texts else _settled(findings, passage.texts)
        return Opinion(
            bool(findings), categories, findings, settled, f"found: {', '.join(sorted(categories))}" if findings else ""
        )

    def _scan(self, number: int, text: str) -> list[tuple[Finding, float]]:
        settings = self._settings
        rows = self._load().analyze(
            text=text, language=settings.language, entities=settings.entities, score_threshold=settings.threshold
        )
        kept: list[tuple[Finding, float]] = []
        end = 0
        for row in sorted(rows, key=lambda row: (row.start, -row.end)):
            if row.end > end:
                start = max(row.start, end)  # what two of them cover belongs to the first
                end = row.end
                label = str(row.entity_type).lower()
                kept.append((Finding(text=number, start=start, end=end, label=label), float(row.score)))
        return kept

    def _load(self) -> Any:
        with self._loading:
            if self._engine is None:
                model = {"lang_code": self._settings.language, "model_name": self._settings.nlp_model}
                provider = packages.load(f"{_PACKAGE}.nlp_engine").NlpEngineProvider(
                    nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}
                )
                self._engine = packages.load(_PACKAGE).AnalyzerEngine(
                    nlp_engine=provider.create_engine(), supported_languages=[self._settings.language]
                )
            return self._engine


def _settled(findings: list[Finding], texts: Any) -> int:
    last = len(texts) - 1
    settled = max(0, len(texts[-1]) - LONGEST_MATCH)
    for each in findings:
        if each.text == last and each.start < settled < each.end:
            settled = each.start
    return settled
