"""``inline::secrets``: keys of well-known forms, private keys, and values that look as if nobody should see them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.matching.rules import Rule, rule
from caravan_safety.matching.scanner import Scanner
from caravan_safety.shields import scanning
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_VALUE: Final = re.compile(r"[=:>]\s*[\"']?([^\s\"'<>]+)\Z")
_HARMLESS: Final = re.compile(
    r"(?i)\$\{|\{\{|x{4,}|\*{3,}|\.{3,}|example|placeholder|changeme|your[_-]|redacted|\Atrue\Z|\Anull\Z"
)
_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential"
    r"|(?:api|access|auth|private|client|signing|encryption)[_ -]?(?:key|token|secret))"
)


def entropy(text: str) -> float:
    """Bits a character, by how often each stands in it (Shannon)."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _random(text: str) -> bool:
    found = _VALUE.search(text)
    value = found.group(1) if found else ""
    return len(value) >= 8 and _HARMLESS.search(value) is None and entropy(value) >= 3.0


def _key_line(text: str) -> bool:
    return entropy(text) >= 4.8


def _beside(character: str) -> bool:
    return not (character.isalnum() or character in "_-")


def _beside_key(character: str) -> bool:
    return not (character.isalnum() or character in "+/=_-.")


_ROWS: Final[tuple[tuple[str, str, Callable[[str], bool] | None], ...]] = (
    # of two that find the same, the first counts
    ("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", None),
    ("github_token", r"gh[pousr]_[A-Za-z0-9]{36,200}|github_pat_\w{22,200}", None),
    ("gitlab_token", r"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,100}", None),
    ("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10,200}|xapp-\d-[A-Za-z0-9-]{10,200}", None),
    ("slack_webhook", r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{30,80}", None),
    ("anthropic_key", r"sk-ant-[A-Za-z0-9_-]{24,200}", None),
    ("openai_key", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,200}", None),
    ("google_api_key", r"AIza[\w-]{35}", None),
    ("google_oauth", r"ya29\.[\w-]{20,200}|GOCSPX-[\w-]{28}", None),
    ("stripe_key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,200}|whsec_[A-Za-z0-9+/=]{24,100}", None),
    ("huggingface_token", r"hf_[A-Za-z0-9]{30,100}", None),
    ("npm_token", r"npm_[A-Za-z0-9]{36}", None),
    ("pypi_token", r"pypi-AgE[\w-]{50,200}", None),
    ("sendgrid_key", r"SG\.[\w-]{16,32}\.[\w-]{32,64}", None),
    ("telegram_token", r"\d{8,10}:AA[\w-]{33}", None),
    ("azure_storage_key", r"AccountKey=[A-Za-z0-9+/]{86}==", None),
    ("jwt", r"eyJ[\w-]{10,100}\.eyJ[\w-]{10,200}(?:\.[\w-]*)?", None),
    ("private_key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", None),
    ("url_password", r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,64}:[^\s:/@]{3,100}@", None),
)  # fmt: skip
_NO_EDGE: Final = frozenset({"private_key", "url_password"})
_GUESSED: Final = (
    rule("key_material", "[A-Za-z0-9+/]{64}", before=_beside_key, behind=_beside_key, check=_key_line),
    rule(
        "assigned_secret",
        _NAMES + r"[\"']?\s{0,4}(?:=|:|:=|=>)\s{0,4}[\"']?[^\s\"'<>]{8,128}",
        check=_random,
        ignore_case=True,
    ),
)
KINDS: Final = (*(row[0] for row in _ROWS), *(each.label for each in _GUESSED))


class Settings(Params):
    """Of one shield."""

    kinds: list[str] = Field(default_factory=lambda: list(KINDS), min_length=1)
    """What to look for; everything when it is left out. `key_material` and `assigned_secret` are guesses by how
    evenly characters are spread."""


class Secrets:
    """Finds places, also in unfinished texts."""

    types = ("inline::secrets",)
    sees = False
    finds_places = True

    def __init__(self, kinds: frozenset[str]) -> None:
        self._scanner = _scanner(kinds)

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        kinds = frozenset(read_params(Settings, spec.params).kinds)
        if unknown := sorted(kinds.difference(KINDS)):
            raise InvalidRequest(
                f"params.kinds: there is no {unknown[0][:80]!r}; there are {', '.join(KINDS)}", param="params.kinds"
            )
        return cls(kinds)

    async def look(self, passage: Passage) -> Opinion:
        return scanning.opinion(await scanning.scan(self._scanner, passage), passage.final)


@lru_cache(maxsize=32)
def _scanner(kinds: frozenset[str]) -> Scanner:
    return Scanner(
        [*(_rule(*row) for row in _ROWS if row[0] in kinds), *(each for each in _GUESSED if each.label in kinds)]
    )


def _rule(label: str, expression: str, check: Callable[[str], bool] | None) -> Rule:
    edge = None if label in _NO_EDGE else _beside
    return rule(label, expression, before=edge, behind=edge, check=check)
