"""``inline::pii``: data that says who somebody is, by expressions of our own; a checksum decides where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.matching.characters import is_word
from caravan_safety.matching.rules import Edge, Rule, not_digit, not_word, rule
from caravan_safety.matching.scanner import Scanner
from caravan_safety.shields import checksums, scanning
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts


def _not_address(character: str) -> bool:
    return not is_word(character) and character not in ".%+-"


def _not_dotted(character: str) -> bool:
    return not is_word(character) and character not in ".:"


def _not_number(character: str) -> bool:
    return not is_word(character) and character != "+"


_Row = tuple[str, str, Edge, Edge, Callable[[str], bool] | None]
_V4: Final = r"\d{1,3}(?:\.\d{1,3}){3}"
_V6: Final = r"(?:[0-9A-Fa-f]{1,4}:|:){2,8}(?:[0-9A-Fa-f]{1,4})?"
_ROWS: Final[tuple[_Row, ...]] = (
    ("email", r"[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}",
     _not_address, not_word, None),
    ("credit_card", r"\d(?:[ -]?\d){12,18}", not_digit, not_digit, checksums.payment_card),
    ("iban", r"[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}", not_word, not_word, checksums.iban),
    ("uk_nhs", r"\d{3} \d{3} \d{4}", not_digit, not_digit, checksums.uk_nhs),
    ("phone", r"\+\d{1,3}(?:[ ().-]{0,2}\d){6,14}", _not_number, not_digit, None),
    ("phone", r"\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}", _not_number, not_digit, None),
    ("us_ssn", r"\d{3}-\d{2}-\d{4}", not_digit, not_digit, checksums.us_ssn),
    ("ip_address", f"{_V4}|{_V6}|{_V6}{_V4}", _not_dotted, not_word, checksums.ip_address),
    ("mac_address", r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", _not_dotted, not_word, None),
    ("bitcoin_address", r"[13][1-9A-HJ-NP-Za-km-z]{25,34}", not_word, not_word, checksums.bitcoin_address),
    ("spanish_nif", r"[XYZxyz0-9]\d{7}-?[A-Za-z]", not_word, not_word, checksums.spanish_nif),
)  # fmt: skip
ENTITIES: Final = tuple(dict.fromkeys(row[0] for row in _ROWS))


class Settings(Params):
    """Of one shield."""

    entities: list[str] = Field(default_factory=lambda: list(ENTITIES), min_length=1)
    """What to look for; everything when it is left out."""


class Pii:
    """Finds places, also in unfinished texts."""

    types = ("inline::pii",)
    sees = False
    finds_places = True

    def __init__(self, entities: frozenset[str]) -> None:
        self._scanner = _scanner(entities)

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        entities = frozenset(read_params(Settings, spec.params).entities)
        if unknown := sorted(entities.difference(ENTITIES)):
            raise InvalidRequest(
                f"params.entities: there is no {unknown[0][:80]!r}; there are {', '.join(ENTITIES)}",
                param="params.entities",
            )
        return cls(entities)

    async def look(self, passage: Passage) -> Opinion:
        return scanning.opinion(await scanning.scan(self._scanner, passage), passage.final)


@lru_cache(maxsize=32)
def _scanner(entities: frozenset[str]) -> Scanner:
    return Scanner(_rule(row) for row in _ROWS if row[0] in entities)


def _rule(row: _Row) -> Rule:
    label, expression, before, behind, check = row
    return rule(label, expression, before=before, behind=behind, check=check)
