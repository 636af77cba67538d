"""``inline::injection-rules``: phrases by which a text gives the model orders that are not its author's to give.

Rules find what is said in known words and nothing else. They are the cheap first stage of a cascade, not a classifier.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.matching.rules import not_word, rule
from caravan_safety.matching.scanner import Scanner
from caravan_safety.shields import scanning
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_BLANK: Final = r"[\s,.:;*_\"'-]{1,4}"
_ANYWHERE: Final = frozenset({"delimiter", "exfiltration"})
"""Labels of rules that begin with a mark or within a word as well."""


def _read(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = [line.split(" ", 1) for line in lines]
    return [(label, expression.replace(" ", _BLANK)) for label, expression in rows]


_ROWS: Final = _read((resources.files(__package__) / "injection_rules.txt").read_text("utf-8"))
LABELS: Final = tuple(dict.fromkeys(row[0] for row in _ROWS))


class Settings(Params):
    """Of one shield."""

    labels: list[str] = Field(default_factory=lambda: list(LABELS), min_length=1)
    """What to look for; everything when it is left out."""


class InjectionRules:
    """Finds places, also in unfinished texts."""

    types = ("inline::injection-rules",)
    sees = False
    finds_places = True

    def __init__(self, labels: frozenset[str]) -> None:
        self._scanner = _scanner(labels)

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        labels = frozenset(read_params(Settings, spec.params).labels)
        if unknown := sorted(labels.difference(LABELS)):
            raise InvalidRequest(
                f"params.labels: there is no {unknown[0][:80]!r}; there are {', '.join(LABELS)}", param="params.labels"
            )
        return cls(labels)

    async def look(self, passage: Passage) -> Opinion:
        return scanning.opinion(await scanning.scan(self._scanner, passage), passage.final)


@lru_cache(maxsize=32)
def _scanner(labels: frozenset[str]) -> Scanner:
    return Scanner(
        rule(label, expression, ignore_case=True, before=None if label in _ANYWHERE else not_word)
        for label, expression in _ROWS
        if label in labels
    )
