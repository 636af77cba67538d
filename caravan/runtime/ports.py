"""Free loopback ports."""

from __future__ import annotations

import os
import random
import socket
import sys

from caravan.errors import StartError

FIRST, LAST = 15000, 31999
"""Below the range from which systems take the local ports of outgoing connections (32768 on Linux), so that
nobody's connection sits on a server's port while that server restarts."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``host:port`` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def claim(port: int) -> socket.socket | None:
    """Keep `port` from other launchers of this user until the result is closed; None when one of them has it.

    Gateways share a port (SO_REUSEPORT), with those of another instance too if nobody minds. The claim is a name in
    Linux's abstract namespace: it belongs to the network namespace as ports do, and ends with its process however
    that ends. Elsewhere nothing is claimed.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if sys.platform == "linux":
        try:
            made.bind(f"\0caravan-port-{os.getuid()}-{port}")
        except OSError:
            made.close()
            return None
    return made


class Ports:
    """Hands out ports, each only once and to one launcher; prefers the one that the same name had before."""

    def __init__(self, remembered: dict[str, int] | None = None) -> None:
        self._remembered = dict(remembered or {})
        self._given: dict[str, int] = {}
        self._claims: dict[int, socket.socket] = {}

    def take(self, name: str, *, fresh: bool = False) -> int:
        """A free loopback port for `name`; with `fresh`, another one than it has or had."""
        before = self._given.pop(name, None) or self._remembered.pop(name, None)
        if before in self._claims:
            self._claims.pop(before).close()
        if before and not fresh and self._claimed(before):
            return self._give(name, before)
        for _ in range(200):
            port = random.randint(FIRST, LAST)
            if port != before and self._claimed(port):
                return self._give(name, port)
        raise StartError(f"No free TCP port was found between {FIRST} and {LAST} on 127.0.0.1.")

    def close(self) -> None:
        """Other launchers may have these ports again."""
        while self._claims:
            self._claims.popitem()[1].close()

    @property
    def given(self) -> dict[str, int]:
        """Every port handed out, by name."""
        return dict(self._given)

    def _claimed(self, port: int) -> bool:
        """Claimed before it is looked at: two launchers that start together would both find it free."""
        if port in self._claims or (made := claim(port)) is None:
            return False
        if not is_free(port):
            made.close()
            return False
        self._claims[port] = made
        return True

    def _give(self, name: str, port: int) -> int:
        self._given[name] = port
        return port
