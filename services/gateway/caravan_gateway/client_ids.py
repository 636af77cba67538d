"""What a client says of its own request: for logs and traces, never for anything that is decided."""

from __future__ import annotations

from typing import Any, Final

MAX_ID: Final = 512
"""Characters; as OpenAI takes them."""
_NAMES: Final = (b"x-client-request-id", b"x-request-id")


def client_id(headers: dict[bytes, bytes]) -> str:
    """The id a client gave its request; "" when it gave none that can be written down."""
    for name in _NAMES:
        given = headers.get(name)
        if given and len(given) <= MAX_ID:
            text = given.decode("latin-1")
            if text.isascii() and text.isprintable():
                return text
    return ""


def attributes(headers: dict[bytes, bytes]) -> dict[str, Any]:
    """For a span: the client's id, and which try of its SDK this is."""
    made: dict[str, Any] = {}
    if given := client_id(headers):
        made["caravan.client.request.id"] = given
    tries = headers.get(b"x-stainless-retry-count", b"")
    if tries.isdigit() and len(tries) < 4:
        made["caravan.client.retry_count"] = int(tries)
    return made
