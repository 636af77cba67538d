"""What an operator allows beside the public Internet."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from caravan_bus.outbound.addresses import IPAddress, plain
from caravan_bus.outbound.hosts import read_host

_Network = IPv4Network | IPv6Network


class Allowed:
    """Names of hosts (``mcp.internal``), names with a port (``mcp.internal:8080``), addresses (``10.1.2.3``,
    ``[fd00::1]:8080``) and networks (``10.0.0.0/8``).

    A name allows whatever it resolves to; a network allows every name that resolves into it.
    """

    def __init__(self, entries: str | Iterable[str] = ()) -> None:
        """A list, or one text with commas or blanks between. Raises ValueError naming the entry that cannot be read."""
        self._hosts: set[tuple[str, int]] = set()
        self._networks: list[_Network] = []
        for entry in entries.replace(",", " ").split() if isinstance(entries, str) else entries:
            try:
                self._add(entry.strip())
            except ValueError as error:
                raise ValueError(f"{entry!r} is no host, host:port, address or network: {error}") from error

    def host(self, host: str, port: int) -> bool:
        """Whether this host, in its one form (:func:`~caravan_bus.outbound.hosts.read_host`), is allowed."""
        return (host, 0) in self._hosts or (host, port) in self._hosts

    def address(self, address: IPAddress, port: int) -> bool:
        """Whether this address is allowed, whatever name led to it."""
        meant = plain(address)
        if self.host(str(meant), port):
            return True
        return any(meant.version == network.version and meant in network for network in self._networks)

    def _add(self, entry: str) -> None:
        if "/" in entry:
            self._networks.append(ip_network(entry))
            return
        name, port = entry, 0
        if entry.startswith("["):
            name, closed, rest = entry[1:].partition("]")
            if not closed:
                raise ValueError("there is no ]")
            port = _port(rest.removeprefix(":")) if rest else 0
        elif entry.count(":") == 1:
            name, _, rest = entry.partition(":")
            port = _port(rest)
        host, address = read_host(name)
        self._hosts.add((str(plain(address)) if address else host, port))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)
