"""Web pages are kept off a gateway that lets anybody in.

Without API keys whoever reaches the loopback address is its administrator. So is every page that the user's browser
shows: it may not read the answers, but it may send requests, and these cost money or change the registry. A browser
says whose page sends them, in the header ``Origin``; other clients send none.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from caravan_contracts.errors import PermissionDenied

_HARMLESS: Final = frozenset(("GET", "HEAD", "OPTIONS"))


def check(method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise PermissionDenied for a request that a page of somebody else's sends."""
    for name, value in headers:
        if name == b"origin" and method not in _HARMLESS and not _is_own(value.decode("latin-1")):
            raise PermissionDenied(
                "a web page from elsewhere may not use this server, for it asks nobody for an API key: set "
                "CARAVAN_GATEWAY_API_KEYS_FILE, or CARAVAN_GATEWAY_ALLOW_ANONYMOUS=true if that is meant",
                code="foreign_origin",
            )


def _is_own(origin: str) -> bool:
    """Whether it is a page of this machine. ``null`` (a file, a sandbox) may be anybody's."""
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
