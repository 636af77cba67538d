"""uvicorn's WebSocket, but that a gateway which leaves lets the answer under way come to its end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

LEAVING: Final = "caravan_leaving"
CUT: Final = "caravan_cut"
"""Of the scope: an event that is set when the gateway leaves, and a call that closes the connection at once."""
_QUIET: Final = logging.getLogger("caravan_gateway.socket.line")
"""uvicorn's and websockets' own: each writes a line for every connection."""
_QUIET.setLevel(logging.WARNING)


class SocketProtocol(WebSocketsSansIOProtocol):
    """One connection; made by uvicorn."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.logger = self.conn.logger = _QUIET
        self._leaving = asyncio.Event()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the task that was begun has not looked at it yet
            self.scope.update({LEAVING: self._leaving, CUT: self._cut})  # type: ignore[misc]

    def shutdown(self) -> None:
        """The gateway leaves; called by uvicorn. The app closes the connection once it has nothing under way."""
        self._leaving.set()

    def _cut(self) -> None:
        self.transport.abort()
