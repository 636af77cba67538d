"""What shields share: models on the bus, connections to addresses, secrets, other shields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caravan_safety.shields.asking import Asking
    from caravan_safety.shields.base import Opinion, Passage
    from caravan_safety.shields.reaching import Reaching

Look = Callable[[str, "Passage"], Awaitable["Opinion"]]
"""Asks another shield, by its id, in the name of the passage's tenant."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One per process and shield: `tenant` is the one that the shield belongs to."""

    tenant: str = "default"
    asking: Asking | None = None
    reaching: Reaching | None = None
    secrets: Callable[[Any], Any] = field(default=lambda value: value)
    """References in settings to what they stand for. Raises InvalidRequest."""
    look: Look | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
