"""A route: a model name that stands for several targets, and what is done when one of them fails.

Routes are resources of the registry (kind ``route``); the id of one is the name that clients write as `model`. A model
without a route has one target, itself, and the defaults written here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from caravan_contracts.caching import Cache
from caravan_contracts.registry import Message


class Strategy(StrEnum):
    """How the first target is chosen; the others follow in their order when it fails."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"


class Limits(Message):
    """Bounds of one target over all gateways; None = none."""

    max_concurrent: int | None = Field(default=None, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class Target(Message):
    """One model of one provider."""

    model: str = Field(min_length=1)
    """Any name that resolves to one model: ``<provider>/<model>``, an alias, a bare id. Not another route."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the first choices among weighted targets."""
    limits: Limits = Limits()
    context_length: int | None = Field(default=None, ge=1)
    """Tokens; None = as the model's metadata say."""
    prefill: bool | None = None
    """Whether it goes on from a beginning of its answer (a last message of the assistant); None = as its provider
    type is known to."""


class Timeouts(Message):
    """Seconds; None = none beyond the request's own deadline."""

    first_token: float | None = Field(default=None, gt=0)
    """Until the first byte of an answer; of one that does not stream, until all of it."""
    between_tokens: float | None = Field(default=None, gt=0)
    total: float | None = Field(default=None, gt=0)
    """Of one attempt."""


class Retry(Message):
    """How failures before the first token are tried again."""

    same_target: int = Field(default=1, ge=0, le=5)
    """Tries again at the target that failed, before the next one."""
    budget: float = Field(default=0.2, ge=0, le=1)
    """Retries per request of a model at most, over the last ten seconds; a handful are always free."""
    max_wait: float = Field(default=5.0, ge=0)
    """Longest Retry-After in seconds that is waited for when there is no other target."""


class Breaker(Message):
    """When a target is left alone, and for how long. Shared by all gateways."""

    failures: int = Field(default=5, ge=1)
    """Failures in a row, or as many within `window` when they are half of what was tried."""
    window: float = Field(default=30.0, gt=0)
    open_seconds: float = Field(default=10.0, gt=0)
    """Until one request is let through to see whether it is back."""


class When(Message):
    """What a request must be like; what is not said does not matter."""

    prompt_characters_under: int | None = Field(default=None, ge=1)
    prompt_characters_over: int | None = Field(default=None, ge=0)
    tools: bool | None = None
    images: bool | None = None
    structured_output: bool | None = None
    stream: bool | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    """Each of these in the request's `metadata`."""


class Rule(Message):
    """The first rule that fits says which targets are used, in this order."""

    when: When
    targets: list[str] = Field(min_length=1)
    """`model` of targets of the route."""


class RouteSpec(Message):
    """Body of a route resource."""

    strategy: Strategy = Strategy.ORDERED
    targets: list[Target] = Field(min_length=1, max_length=32)
    rules: list[Rule] = Field(default_factory=list, max_length=64)
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    cache: Cache = Cache()
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _rules_name_targets(self) -> Self:
        known = [target.model for target in self.targets]
        if len(set(known)) != len(known):
            raise ValueError("a route names each target once")
        for rule in self.rules:
            for name in rule.targets:
                if name not in known:
                    raise ValueError(f"the rule's target {name!r} is none of the route's: {', '.join(known)}")
        return self
