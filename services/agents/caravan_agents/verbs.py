"""Verbs of the bus to calls of the services in here."""

from __future__ import annotations

from collections.abc import Iterable

from caravan_bus.control import verbs as shared
from caravan_bus.control.verbs import Call, Verbs
from caravan_bus.discovery import Endpoint
from caravan_contracts import subjects
from caravan_contracts.users import AGENTS
from faststream.nats import NatsBroker

__all__ = ["Call", "Verbs", "endpoints", "install", "subject"]


def subject(verb: str) -> str:
    """Where `verb` is asked for."""
    return subjects.request(AGENTS, verb)


def endpoints(verbs: Iterable[str]) -> list[Endpoint]:
    """For discovery."""
    return shared.endpoints(AGENTS, verbs)


def install(broker: NatsBroker, service: object, verbs: Verbs) -> None:
    """Subscribe `service` to its verbs, in the queue group of all agents."""
    shared.install(broker, AGENTS, service, verbs)
