"""How far a run is, as it is written down."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from caravan_agents.responses.items import Item
from caravan_agents.responses.turn import ToolCall


@dataclass(slots=True)
class Pending:
    """A call of the last turn that is to be run, or to be answered without being run."""

    key: str
    """``<turn>.<place in it>``"""
    id: str
    name: str
    arguments: str
    index: int
    """The `output_index` of its item."""
    skip: str = ""
    """Why it is not to be run."""

    @property
    def call(self) -> ToolCall:
        """As tools take it."""
        return ToolCall(self.id, self.name, self.arguments)


@dataclass(slots=True)
class State:
    """At the end of a turn, or of its calls. It is written whenever it changes."""

    said: list[Item]
    """What the model is told: the history, the input, and what came of it until now."""
    output: list[Item] = field(default_factory=list)
    """Of the response, as it is shown."""
    usage: dict[str, int] | None = None
    tier: str = ""
    sequence: int = 0
    """The number of the next event."""
    turn: int = 0
    """Of the model: 0 before the first."""
    pending: list[Pending] = field(default_factory=list)
    """Calls to be run before the next turn; their items are in the output."""
    stop: bool = False
    """Whether the response ends after them: the client has to do something."""
    hosted_calls: int = 0
    """Calls of tools on the server so far."""
    unknown_calls: int = 0
    """Turns in a row in which the model called a tool that is not there."""
    opened: bool = False
    """Whether its tools were told of."""

    def encode(self) -> bytes:
        """JSON."""
        return orjson.dumps(asdict(self))

    @staticmethod
    def decode(data: bytes) -> State:
        """The opposite."""
        fields: dict[str, Any] = orjson.loads(data)
        fields["pending"] = [Pending(**one) for one in fields["pending"]]
        return State(**fields)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the beginning of a run made of its request: another process does not do that again."""

    created_at: int
    """Unix seconds."""
    items: list[Item]
    """The history and the input."""
    given: list[Item]
    """The input alone."""
    model: str
    instructions: str | None

    def encode(self) -> bytes:
        """JSON."""
        return orjson.dumps(asdict(self))

    @staticmethod
    def decode(data: bytes) -> Opened:
        """The opposite."""
        return Opened(**orjson.loads(data))
