"""The socket on which a gateway takes connections, and how it is left without losing one.

Several gateways of one machine share a port (SO_REUSEPORT): the kernel gives each new connection to one of them by a
hash, the moment it arrives. What waits in the line of a socket that is closed is reset, also when another gateway
could have had it (Linux moves it over only with the sysctl ``net.ipv4.tcp_migrate_req``). So:

- a gateway that starts binds at once, since a port that is taken is an error to be told, and listens once it can serve;
- one that leaves first refuses to see new connections while it still takes those that had begun. A client whose first
  packet is not seen sends it again after a second, by itself, and it reaches another gateway.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys
from typing import Final

from caravan_contracts.errors import CaravanError

log = logging.getLogger(__name__)

BACKLOG: Final = 4096
LEAVE_SECONDS: Final = 0.25
"""How long connections that had begun may take to arrive, once :func:`refuse_new` was called."""
_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h; the module socket has no name for it
# classic BPF over the TCP header: drop what has SYN among its flags (byte 13), keep all else
_NO_SYN: Final = (
    (0x30, 0, 0, 13),  # ldb [13]
    (0x45, 0, 1, 0x02),  # jset #SYN, next, one further
    (0x06, 0, 0, 0),  # ret 0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # ret all of it
)


def bind(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen yet. Raises CaravanError, as when another program has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise _cannot(host, port, error) from error
    made.setblocking(False)
    return made


def listen(bound: socket.socket, host: str, port: int) -> None:
    """From now on the kernel hands out connections to it. Raises CaravanError."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise _cannot(host, port, error) from error


def refuse_new(listening: socket.socket) -> None:
    """No connection begins here any more; those that had begun still arrive. Elsewhere than on Linux: nothing."""
    if not sys.platform.startswith("linux"):
        return
    code = b"".join(struct.pack("HBBI", *line) for line in _NO_SYN)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(buffer))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError as error:  # a sandbox may forbid it
        log.info("connections that begin while this gateway leaves may be reset: %s", error)


def _cannot(host: str, port: int, error: OSError) -> CaravanError:
    return CaravanError(
        f"cannot listen on {host}:{port}: {error.strerror}. "
        "Choose another port (CARAVAN_GATEWAY_PORT, or `caravan up --port`)"
    )
