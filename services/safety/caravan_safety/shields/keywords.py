"""``inline::keywords``: words, phrases and regular expressions of the operator."""

from __future__ import annotations

from typing import Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import LONGEST_MATCH, ShieldSpec
from pydantic import Field

from caravan_safety.matching import rules
from caravan_safety.matching.expressions import BadExpression
from caravan_safety.matching.rules import Rule
from caravan_safety.matching.scanner import Scanner
from caravan_safety.shields import scanning
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_LABEL: Final = "keyword"


class Settings(Params):
    """Of one shield."""

    words: list[str] = Field(default_factory=list, max_length=5_000)
    """Words and phrases, as they are written; a blank stands for any number of blanks and line ends."""
    expressions: list[str] = Field(default_factory=list, max_length=200)
    """Regular expressions without look-around and back references; ``\\b`` at their ends means a whole word."""
    ignore_case: bool = True
    whole_words: bool = True
    """Whether `words` are not found within longer ones."""
    category: str = Field(default=_LABEL, min_length=1, max_length=64)
    """What a finding is called."""
    replacement: str = Field(default="", max_length=256)
    """What stands in its place where it is masked; "" = the category in brackets."""


class Keywords:
    """Finds places, also in unfinished texts."""

    types = ("inline::keywords",)
    sees = False
    finds_places = True

    def __init__(self, settings: Settings) -> None:
        self._scanner = Scanner(_rules(settings))
        self._masks = {settings.category: settings.replacement}

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, spec.params)
        try:
            return cls(settings)
        except BadExpression as error:
            raise InvalidRequest(f"params.expressions: {error}", param="params.expressions") from error

    async def look(self, passage: Passage) -> Opinion:
        scans = await scanning.scan(self._scanner, passage)
        return scanning.opinion(scans, passage.final, replacements=self._masks)


def _rules(settings: Settings) -> list[Rule]:
    if not settings.words and not settings.expressions:
        raise InvalidRequest("params: a shield of keywords needs words or expressions", param="params.words")
    for word in settings.words:
        if not word.strip() or len(word) > LONGEST_MATCH:
            raise InvalidRequest(f"params.words: {word[:80]!r} has no or too many characters", param="params.words")
    made = [
        rules.words(settings.category, word, ignore_case=settings.ignore_case, whole=settings.whole_words)
        for word in settings.words
    ]
    made += [rules.rule(settings.category, text, ignore_case=settings.ignore_case) for text in settings.expressions]
    return made
