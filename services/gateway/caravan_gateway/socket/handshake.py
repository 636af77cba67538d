"""Which connections may become a WebSocket. All others have their offer passed over, as HTTP allows."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

PATHS: Final = frozenset(("/v1/responses", "/v1/openai/v1/responses"))
_PATHS: Final = frozenset(path.encode() for path in PATHS)
_WEBSOCKET: Final = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_REQUEST_LINE: Final = re.compile(rb"GET ([^ ?]+)[ ?]")


def offered(head: bytes) -> bool:
    """Whether `head`, and perhaps what comes behind it, offers a WebSocket where there is one; of a head that is not
    whole yet, whether it may."""
    line = _REQUEST_LINE.match(head)
    if line is None or line[1] not in _PATHS:
        return False
    end = head.find(b"\r\n\r\n")
    return end < 0 or _WEBSOCKET.search(head, 0, end + 2) is not None


def make(*args: Any, **keywords: Any) -> asyncio.Protocol:
    """The protocol of a socket, for uvicorn; imported when the first one opens."""
    from caravan_gateway.socket.protocol import SocketProtocol

    return SocketProtocol(*args, **keywords)
