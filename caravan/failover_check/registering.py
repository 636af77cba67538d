"""Providers and routes in a mesh that runs, for the time of the check."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

from caravan.cli.gateway import Gateway, GatewayError
from caravan.errors import StartError
from caravan.failover_check.provider import READY

PREFIX: Final = "failover-check"
_PATIENCE: Final = 20.0
_IN_A_ROW: Final = 6
"""Looks on as many connections: several gateways share a port, and all of them should know."""
_PAUSE: Final = 0.1


def provider_id(name: str) -> str:
    """``failover-check-a`` …"""
    return f"{PREFIX}-{name}"


class Registered:
    """What is put there, and taken away again."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.begun = False
        """Whether the gateway took anything."""

    def providers(self, urls: Mapping[str, str]) -> None:
        """Register each and wait until a worker has found it. Raises StartError."""
        for name, url in urls.items():
            self._gateway.call(
                "POST",
                "/v1/providers",
                {
                    "provider_id": provider_id(name),
                    "provider_type": "remote::openai-compatible",
                    "config": {"base_url": url, "allow_unlisted": True},
                },
            )
            self.begun = True
        wanted = {f"{provider_id(name)}/{READY}" for name in urls}
        self._until(
            lambda: wanted <= {str(row["id"]) for row in self._gateway.models()},
            "No worker reached the check's providers. Do the workers run on another machine? Then give the address "
            "under which they reach this one with --host.",
        )

    def routes(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Register each, and wait until the gateways know them. Raises StartError."""
        for name, body in bodies.items():
            self._gateway.call("PUT", f"/v1/routes/{urllib.parse.quote(name)}", body)
        self._until(
            lambda: set(bodies) <= {str(row["id"]) for row in self._gateway.call("GET", "/v1/routes")["data"]},
            "The routes of the check did not become known to every gateway.",
        )

    def clear(self) -> list[str]:
        """Take away all that a check put there, this one or one that was killed; what could not be."""
        problems: list[str] = []
        for path, key in (("/v1/routes", "id"), ("/v1/providers", "provider_id")):
            try:
                there = [str(row[key]) for row in self._gateway.call("GET", path)["data"]]
            except GatewayError as error:
                problems.append(str(error))
                continue
            for name in there:
                if name.startswith((f"{PREFIX}/", f"{PREFIX}-")):
                    problems += self._delete(f"{path}/{urllib.parse.quote(name)}")
        return problems

    def _delete(self, path: str) -> list[str]:
        try:
            self._gateway.call("DELETE", path)
        except GatewayError as error:
            return [] if error.status == 404 else [str(error)]
        return []

    @staticmethod
    def _until(true: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + _PATIENCE
        row = 0
        while row < _IN_A_ROW:
            row = row + 1 if true() else 0
            if time.monotonic() > end:
                raise StartError(otherwise)
            if not row:
                time.sleep(_PAUSE)
