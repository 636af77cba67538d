"""What one channel of the bus is: who publishes, who subscribes, what is said. The table is :mod:`channels`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel


class Pattern(StrEnum):
    """How a channel is used."""

    REQUEST = "request"
    """One JSON request, one JSON reply or a service error."""
    STREAM = "stream"
    """One request, a stream of frames to its reply inbox."""
    PLAIN = "plain"
    """One request, plain messages to its reply inbox: SSE events or one JSON body, then an empty message."""
    CONTROL = "control"
    FACT = "fact"
    WORK = "work"
    """A job for a work queue: JetStream keeps it and confirms that at the reply inbox, workers pull it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One row of the table. `address` may hold ``{parameters}``; each is one subject token."""

    name: str
    address: str
    pattern: Pattern
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]
    summary: str
    request: type[BaseModel] | None = None
    """JSON of the request or fact; None = OpenAI's JSON body or bytes, as `summary` says."""
    reply: type[BaseModel] | None = None
    foreign: bool = False
    """Whether foreign bus users may publish here, with their own tenant and name as the last tokens. Other parameters
    are theirs to choose."""
    queue: str = ""
    """Queue group of the subscribers; "" = everybody hears it."""
    observers: tuple[str, ...] = ()
    """Who listens in without being asked: to the requests, and to the publishers' inboxes where the answers come."""

    @property
    def wildcard(self) -> str:
        """The address with ``*`` for each parameter."""
        return ".".join("*" if part.startswith("{") else part for part in self.address.split("."))
