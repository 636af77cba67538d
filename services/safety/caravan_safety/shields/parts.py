"""What shields share: models on the bus, connections to addresses, secrets, other shields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caravan_contracts.errors import Unavailable

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
    """None within a cascade."""

    @property
    def models(self) -> Asking:
        """Raises Unavailable where there is no bus."""
        if self.asking is None:
            raise Unavailable("no models can be asked here")
        return self.asking

    @property
    def addresses(self) -> Reaching:
        """Raises Unavailable where none may be called."""
        if self.reaching is None:
            raise Unavailable("no addresses can be called here")
        return self.reaching
