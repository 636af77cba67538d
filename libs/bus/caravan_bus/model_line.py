"""All that a service needs to ask models over the bus, started and closed together."""

from __future__ import annotations

from caravan_contracts import subjects as s
from caravan_contracts.users import GUARDED, INFERENCE

from caravan_bus.claims import Claims
from caravan_bus.guarding.line import GuardLine
from caravan_bus.inference import InferenceClient
from caravan_bus.presence import PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import Router
from caravan_bus.routing.state import RoutingState
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.transport import Transport

_Part = Requester | RegistryView | StreamInbox | PresenceTable | RoutingState | Router | GuardLine


class ModelLine:
    """One per process."""

    def __init__(self, transport: Transport, user: str, instance: str, claims: Claims | None = None) -> None:
        """`claims`: where bodies lie that are too large for a message; without it such requests are refused."""
        self.requester = Requester(transport, user, instance)
        self.view = RegistryView(transport, self.requester)
        self.inbox = StreamInbox(transport, transport, user, instance)
        self._table = PresenceTable(transport, INFERENCE, s.inbox_prefix(user, f"{instance}-probe"))
        self._routing = RoutingState(transport, instance)
        self._router = Router(transport, self.inbox, self._table)
        # a shield asks models without any
        self._guards = GuardLine(transport, self.requester, user, instance) if user in GUARDED else None
        guarding = self._guards.guarding if self._guards is not None else None
        self.client = InferenceClient(self.view, self._router, claims, state=self._routing, guarding=guarding)

    async def start(self) -> None:
        """In the order in which they need each other."""
        for part in self._parts():
            await part.start()

    async def close(self) -> None:
        """In the other."""
        for part in reversed(self._parts()):
            await part.close()

    def _parts(self) -> list[_Part]:
        parts: list[_Part] = [self.requester, self.view, self.inbox, self._table, self._routing, self._router]
        return parts if self._guards is None else [*parts, self._guards]
