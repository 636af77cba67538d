"""Slots: how many requests a worker runs at once, per provider."""

from __future__ import annotations

from collections.abc import Callable

from caravan_contracts.presence import Load


class Slots:
    """Counts what is taken. `changed` is called when a provider becomes full or free again."""

    def __init__(self) -> None:
        self._total: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self.changed: Callable[[], None] = lambda: None

    def offer(self, provider: str, slots: int) -> None:
        """Serve `provider` with this many slots from now on."""
        self._total[provider] = slots
        self.changed()

    def withdraw(self, provider: str) -> None:
        """Serve it no more; requests under way keep their slots."""
        if self._total.pop(provider, None) is not None:
            self.changed()

    def take(self, provider: str) -> bool:
        """Hold a slot; False when none is free or the provider is not served here."""
        used = self._used.get(provider, 0)
        total = self._total.get(provider, 0)
        if used >= total:
            return False
        self._used[provider] = used + 1
        if used + 1 == total:
            self.changed()
        return True

    def give_back(self, provider: str) -> None:
        """Free a slot taken before."""
        used = self._used[provider] - 1
        self._used[provider] = used
        if used + 1 == self._total.get(provider, 0):
            self.changed()

    def loads(self) -> dict[str, Load]:
        """What presence says."""
        return {name: Load(total, self._used.get(name, 0)) for name, total in self._total.items()}
