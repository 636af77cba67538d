"""What a shield is, whatever it looks with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.safety import MOST_CATEGORIES, MOST_WORDS, Finding, Said, ShieldSpec, Stage
from pydantic import BaseModel, ConfigDict, ValidationError

from caravan_safety.shields.parts import Parts

Options = TypeVar("Options", bound="Params")


class Params(BaseModel):
    """Base of the settings of a kind of shield: a key that means nothing is a mistake."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Passage:
    """What is to be looked at."""

    texts: Sequence[str]
    stage: Stage = Stage.INPUT
    before: Sequence[Said] = ()
    """The conversation, as far as it was sent along."""
    final: bool = True
    """False: more of the last text is to come."""
    images: Sequence[str] = ()
    """URLs, ``data:`` among them; for shields that see."""
    principal: Principal = field(default_factory=Principal)
    """On whose behalf."""
    request_id: str = ""
    until: float = float("inf")
    """When a verdict is of no use any more, of ``time.monotonic``."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a shield says of a passage. See :class:`~caravan_contracts.safety.Verdict`."""

    flagged: bool = False
    categories: Mapping[str, float] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    settled: int | None = None
    message: str = ""


def checked(opinion: Opinion) -> Opinion:
    """What may be told of an opinion, whoever gave it: so many categories, the highest first, with scores of 0 to 1,
    and so many words. Raises UpstreamFailed for a score that is no number."""
    scores = opinion.categories
    if any(math.isnan(score) for score in scores.values()):
        raise UpstreamFailed("the shield gave a score that is no number")
    highest = sorted(scores.items(), key=lambda item: -item[1])[:MOST_CATEGORIES]
    bounded = {name: min(1.0, max(0.0, score)) for name, score in highest}
    return replace(opinion, categories=bounded, message=opinion.message[:MOST_WORDS])


class Shield(Protocol):
    """One kind of shield. Instances are made of a spec and used by many tasks at once; all that they hold belongs to
    `parts`, so that none needs to be closed."""

    @property
    def types(self) -> tuple[str, ...]:
        """Provider types it answers to; of the class."""
        ...

    @property
    def sees(self) -> bool:
        """Whether it looks at images; of the class."""
        ...

    @property
    def finds_places(self) -> bool:
        """Whether each text is looked at for itself and findings say where; others judge the last of what was said."""
        ...

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        """Raises InvalidRequest for settings that cannot be used, Unavailable when a package is missing. Quick: what
        takes long (a model) is loaded with the first passage."""
        ...

    async def look(self, passage: Passage) -> Opinion:
        """Raises whatever keeps it from an opinion: a CaravanError, TimeoutError. Cancelled when the time is over."""
        ...


def read_params(kind: type[Options], params: Mapping[str, Any]) -> Options:
    """Raises InvalidRequest naming the first setting that is wrong."""
    try:
        return kind.model_validate(params)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["params", *map(str, first["loc"])])
        raise InvalidRequest(f"{where}: {first['msg'].removeprefix('Value error, ')}", param=where) from error
