"""API keys, where Google's clients write them: they are moved, never copied into a log, a trace or an error. And the
headers by which one knows these clients."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from caravan_gateway.asgi import Headers, Scope

_OURS: Final = b"x-api-key"
_GOOGLES: Final = b"x-goog-api-key"
_CLIENTS: Final = (_GOOGLES, b"x-goog-api-client")
"""Not all that begin so: Google's proxies add others to the requests of any client."""


def with_key(scope: Scope) -> Headers:
    """The headers of a request with the key of its header or its URL where our routes look for one."""
    headers: Headers = list(scope["headers"])
    key = next((value for name, value in headers if name == _GOOGLES), b"") or of_url(scope)
    return [*(pair for pair in headers if pair[0] != _OURS), (_OURS, key)] if key else headers


def is_googles(scope: Scope) -> bool:
    """Whether a client of Google's asks: each says so in headers of its own."""
    return any(name in _CLIENTS for name, _ in scope.get("headers", ()))


def of_url(scope: Scope) -> bytes:
    """``?key=`` of a URL."""
    return asked_in(scope, "key").encode("latin-1", "replace")


def asked_in(scope: Scope, name: str) -> str:
    """A parameter of a URL; "" when it is not there."""
    query: bytes = scope.get("query_string", b"")
    return parse_qs(query.decode("latin-1")).get(name, [""])[0]
