"""What a URL names, however it is written. ``http://0x7f.1/``, ``http://2130706433/`` and ``http://127.0.0.1./`` are
one address to a resolver, so they are one here.

Source: the host parser of the WHATWG's URL Standard.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

from caravan_bus.outbound.addresses import IPAddress

MAX_URL: Final = 8192
"""Characters."""
_PORTS: Final = {"http": 80, "https": 443}
_UNCLEAN: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""What parsers of URLs disagree about."""
_NUMBER: Final = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\Z")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL points."""

    host: str
    """A name in ASCII and lower case without a dot at its end, or an address as it is usually written."""
    port: int
    tls: bool
    address: IPAddress | None
    """When the host is one."""


def place_of(url: str) -> Place:
    """Read a URL. Raises ValueError saying what is wrong with it."""
    if len(url) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL} characters")
    if _UNCLEAN.search(url):
        raise ValueError("a URL has no blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("it is no URL") from error
    if parts.scheme not in _PORTS:
        raise ValueError("only http and https are spoken")
    if "@" in parts.netloc:
        raise ValueError("a URL with a name or a password in it is not taken")
    if port == 0:
        raise ValueError("there is no port 0")
    host, address = read_host(parts.hostname or "")
    return Place(host, port or _PORTS[parts.scheme], parts.scheme == "https", address)


def read_host(text: str) -> tuple[str, IPAddress | None]:
    """A host as it stands in a URL, without brackets, in its one form, and its address if it is one. Raises
    ValueError."""
    if ":" in text:
        return _ipv6(text)
    name = _ascii(text).removesuffix(".")
    if not name or len(name) > 253:
        raise ValueError("the host is missing or too long")
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):
        address = _ipv4(name)
        return str(address), address
    if not all(_LABEL.match(label) for label in labels):
        raise ValueError("the host is no name")
    return name, None


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    import idna  # large tables, for few names

    try:
        return idna.encode(text, uts46=True).decode().lower()
    except idna.IDNAError as error:
        raise ValueError("the host is no name") from error


def _ipv4(text: str) -> IPv4Address:
    """Decimal, octal and hexadecimal, in one to four parts."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError as error:
        raise ValueError("the host ends with a number and is no address") from error


def _ipv6(text: str) -> tuple[str, IPAddress]:
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise ValueError("the host is no IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError("an address with a zone is not taken")
    return str(address), address
