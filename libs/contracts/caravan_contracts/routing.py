"""What processes that ask for inference tell each other of targets: facts, so that all of them act alike."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from caravan_contracts.registry import Message

MAX_SECONDS = 3600.0
"""Longest time a target is left alone because of one fact."""


class TargetState(StrEnum):
    """What was found out about a target."""

    OPEN = "open"
    """It failed too often: leave it alone."""
    PROBING = "probing"
    """Somebody asks it with one request whether it is back."""
    CLOSED = "closed"
    """It is back."""
    LIMITED = "limited"
    """It said 429 with a Retry-After."""


class TargetFact(Message):
    """``evt.routing.target``: at once when it changes, and once a second while a target is left alone."""

    instance: str
    """The process that says it."""
    target: str
    """``<tenant>/<provider>/<the provider's model id>``; the tenant is the model's."""
    state: TargetState
    seconds: float = Field(default=0.0, ge=0, le=MAX_SECONDS)
    """How long it is to be left alone, from now."""


class Load(Message):
    """What one process has at a target."""

    under_way: int = Field(default=0, ge=0)
    requests: int = Field(default=0, ge=0)
    """Of the last minute."""
    tokens: int = Field(default=0, ge=0)
    """Of the last minute: prompts and answers that are over."""


class LoadFact(Message):
    """``evt.routing.load``: what a process has at targets with limits; when it changed, at most ten times a second, and
    once a second. Three seconds without one: it is gone."""

    instance: str
    targets: dict[str, Load] = Field(default_factory=dict)


class LineFact(Message):
    """``evt.routing.line``: who waits at a process for a free slot; four times a second while anybody does, and once
    more, empty, when nobody does any longer. A second without one: nobody."""

    instance: str
    tenants: dict[str, list[int]] = Field(default_factory=dict)
    """By provider: marks of the tenants with waiting requests (CRC-32 of their names), at most 256."""
