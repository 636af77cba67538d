"""What the registry tells everybody: each change, and its revision once a second."""

from __future__ import annotations

from typing import Final

from caravan_bus import metrics
from caravan_bus.transport import Transport
from caravan_contracts import subjects as s
from caravan_contracts.registry import ChangeFact, RevisionBeat

MAX_FACT: Final = 512 * 1024
"""Bytes. A larger change is told by its revision alone: readers then fetch a snapshot."""


class Facts:
    """Publishes without waiting. What is lost is made good by the next beat."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def changed(self, fact: ChangeFact) -> None:
        """A change that was committed."""
        data = fact.model_dump_json().encode()
        if len(data) <= MAX_FACT:
            self._transport.publish(s.REGISTRY_CHANGED, data)
        else:
            self.beat(fact.revision)

    def beat(self, revision: int) -> None:
        """The revision as this replica knows it."""
        metrics.REGISTRY_REVISION.set(revision)
        self._transport.publish(s.REGISTRY_REVISION, RevisionBeat(revision=revision).model_dump_json().encode())
