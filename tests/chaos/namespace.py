"""A network namespace with one cable to this host, as another machine would have. Needs root and iproute2."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from types import TracebackType
from typing import Self

_NOBODY = "02:00:00:00:00:99"


def missing() -> str:
    """Why there can be none here; "" when there can."""
    if shutil.which("ip") is None:
        return "iproute2 (the program `ip`) is not installed"
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    name = f"cv{random.randrange(16**6):06x}t"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Namespace:
    """Inside the context it is there; afterwards nothing is left of it."""

    def __init__(self) -> None:
        number = random.randrange(2**14)
        self.name = f"cv{number:04x}"
        self._outer, self._inner = f"{self.name}o", f"{self.name}i"
        # a /30 of the block for benchmarks (RFC 2544), which nobody routes
        base = f"198.18.{number // 64}.{number % 64 * 4}"
        network, last = base.rsplit(".", 1)
        self.host = f"{network}.{int(last) + 1}"
        """This host, as seen from inside; and from here as well."""
        self.guest = f"{network}.{int(last) + 2}"
        """The other end."""

    def __enter__(self) -> Self:
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self._outer, "type", "veth", "peer", "name", self._inner, "netns", self.name)
            ip("addr", "add", f"{self.host}/30", "dev", self._outer)
            ip("link", "set", self._outer, "up")
            ip("-n", self.name, "addr", "add", f"{self.guest}/30", "dev", self._inner)
            ip("-n", self.name, "link", "set", self._inner, "up")
            ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        subprocess.run(["ip", "link", "del", self._outer], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command that is to run inside begins with."""
        return (shutil.which("ip") or "ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """A partition: what either side sends vanishes, and nobody is told. (A link that is down would tell.)"""
        ip("neigh", "replace", self.guest, "lladdr", _NOBODY, "dev", self._outer, "nud", "permanent")
        ip("-n", self.name, "neigh", "replace", self.host, "lladdr", _NOBODY, "dev", self._inner, "nud", "permanent")

    def mend(self) -> None:
        """All is well again."""
        ip("neigh", "del", self.guest, "dev", self._outer)
        ip("-n", self.name, "neigh", "del", self.host, "dev", self._inner)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
