"""``inline::presidio``: personal data as Microsoft Presidio finds it, with a model of spaCy's names and places as well.

Needs ``caravan-safety[presidio]``, and the model where one is named: nothing is fetched. What it finds depends on the
words around, so an unfinished text is settled but for its last LONGEST_MATCH characters. Its expressions backtrack:
texts are looked at in windows, so that the worst of them takes a second and not an hour.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import LONGEST_MATCH, Finding, ShieldSpec
from pydantic import Field

from caravan_safety.shields import packages
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_PACKAGE: Final = "presidio_analyzer"
_WINDOW: Final = 2_048
"""Characters whose findings are taken from one look, with LONGEST_MATCH more on either side to judge them by."""


class Settings(Params):
    """Of one shield."""

    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")
    nlp_model: str = Field(default="en_core_web_sm", pattern=r"^[A-Za-z0-9_]{0,64}$")
    """A package with a model of spaCy's that is installed where the service runs; "" = none: Presidio's expressions and
    checksums alone."""
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
        packages.need(_PACKAGE, "caravan-safety[presidio] (make setup INSTALL_PRESIDIO=1)", cls.types[0])
        if settings.nlp_model and importlib.util.find_spec(settings.nlp_model) is None:
            raise InvalidRequest(
                f"params.nlp_model: no model {settings.nlp_model!r} is installed where the safety service runs: "
                'install its package there, or say "" to do without',
                param="params.nlp_model",
            )
        return cls(settings)

    async def look(self, passage: Passage) -> Opinion:
        found: list[tuple[Finding, float]] = []
        for number, text in enumerate(passage.texts):
            found += await asyncio.to_thread(self._scan, number, text, passage.until)
        categories: dict[str, float] = {}
        for finding, score in found:
            categories[finding.label] = max(score, categories.get(finding.label, 0.0))
        findings = [finding for finding, _ in found]
        settled = None if passage.final or not passage.texts else _settled(findings, passage.texts)
        return Opinion(
            bool(findings), categories, findings, settled, f"found: {', '.join(sorted(categories))}" if findings else ""
        )

    def _scan(self, number: int, text: str, until: float) -> list[tuple[Finding, float]]:
        engine, settings = self._load(), self._settings
        rows: list[tuple[int, int, str, float]] = []
        for start in range(0, len(text), _WINDOW):
            if time.monotonic() > until:  # nobody can stop a thread
                raise TimeoutError("the text is too long for the time that there was")
            begin = max(0, start - LONGEST_MATCH)
            found = engine.analyze(
                text=text[begin : start + _WINDOW + LONGEST_MATCH],
                language=settings.language,
                entities=settings.entities,
                score_threshold=settings.threshold,
            )
            places = ((begin + row.start, begin + row.end, str(row.entity_type), float(row.score)) for row in found)
            rows += (place for place in places if start <= place[0] < start + _WINDOW)
        return _apart(number, rows)

    def _load(self) -> Any:
        with self._loading:
            if self._engine is None:
                settings = self._settings
                analyzer, engines = packages.load(_PACKAGE), packages.load(f"{_PACKAGE}.nlp_engine")
                domains = packages.load("tldextract")
                # else it fetches the list of public suffixes from the Internet with the first address that it meets
                domains.tldextract.TLD_EXTRACTOR = domains.TLDExtract(suffix_list_urls=(), cache_dir=None)
                spacy, language = packages.load("spacy"), settings.language
                # not by its own loading, which fetches a model that is missing
                engine = engines.SpacyNlpEngine(models=[{"lang_code": language, "model_name": settings.nlp_model}])
                engine.nlp = {language: spacy.load(settings.nlp_model) if settings.nlp_model else spacy.blank(language)}
                self._engine = analyzer.AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
            return self._engine


def _apart(number: int, rows: Sequence[tuple[int, int, str, float]]) -> list[tuple[Finding, float]]:
    """In order; what two of them cover belongs to the first."""
    kept: list[tuple[Finding, float]] = []
    end = 0
    for start, until, label, score in sorted(rows, key=lambda row: (row[0], -row[1])):
        if until > end:
            kept.append((Finding(text=number, start=max(start, end), end=until, label=label.lower()), score))
            end = until
    return kept


def _settled(findings: list[Finding], texts: Any) -> int:
    last = len(texts) - 1
    settled = max(0, len(texts[-1]) - LONGEST_MATCH)
    for each in findings:
        if each.text == last and each.start < settled < each.end:
            settled = each.start
    return settled
