"""One way to try a fault: what the providers do, how the route is set, and what the caller has to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caravan.failover_check.scripts import TOKENS, Script, Words

Count = tuple[int, int]
"""At least and at most."""


@dataclass(frozen=True, slots=True)
class Error:
    """The end that is right where there is no answer."""

    status: int = 0
    """0 = an event in a stream that had begun."""
    code: str = ""
    """What the error's `code` is; "" = any."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One request through one route."""

    name: str
    """``stream``, ``whole`` …; unique in its case."""
    primary: Script
    fallback: Script = (Words(),)
    """() = the route has no other target."""
    stream: bool = True
    route: Mapping[str, Any] = field(default_factory=dict)
    """More of the route's body."""
    targets: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    """More of each target."""
    finisher: str = "b"
    """Whose answer it is, and whose model and usage are told."""
    primary_asked: Count = (1, 1)
    fallback_asked: Count = (1, 1)
    within: float = 3.0
    """Seconds from the request to the end."""
    not_before: float = 0.0
    error: Error | None = None
    tokens: int = TOKENS
    """What `completion_tokens` adds up to."""


@dataclass(frozen=True, slots=True)
class Case:
    """One of the sixteen."""

    id: str
    title: str
    trials: tuple[Trial, ...]
