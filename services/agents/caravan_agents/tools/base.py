"""What a tool that runs on the server is to a run.

A call has three parts, so that it can survive the process that makes it: what the client hears of it before
(:meth:`HostedTool.announce`), the work itself (:meth:`HostedTool.run`), whose :class:`Outcome` is journaled, and what
the client hears after it (:meth:`HostedTool.finish`), which follows from the outcome alone. A call whose outcome is in
the journal is never run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from caravan_contracts.context import RequestContext

from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import CitedFiles
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.tools import Offered
from caravan_agents.responses.turn import ToolCall


class Emit(Protocol):
    """Where a tool writes the events of its items."""

    def add(self, item: Item) -> int:
        """`response.output_item.added`: the item as it is at its beginning, without an id; its `output_index`."""
        ...

    def event(self, index: int, type: str, **fields: Any) -> None:
        """An event of an item that was added: ``response.mcp_call.in_progress`` …; `item_id` and `output_index` are
        filled in."""
        ...

    def done(self, index: int, item: Item) -> None:
        """`response.output_item.done`: the item as it ended; its id stays."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended; everything in it is JSON."""

    text: str
    """What the model is told: the result, or what went wrong."""
    ok: bool = True
    fields: dict[str, Any] = field(default_factory=dict)
    """Of the item, as it is shown to the client."""
    private: dict[str, Any] = field(default_factory=dict)
    """Of the item, for the model alone (the results of a search, say)."""


class HostedTool(Protocol):
    """One function that the model may call and the server runs."""

    @property
    def offered(self) -> Offered:
        """What the model sees of it."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether a call that was cut off by the death of its process may be made again."""
        ...

    def approval(self, call: ToolCall) -> Item | None:
        """The `mcp_approval_request` (without an id) to be sent in place of the call, when the client has to allow it
        first."""
        ...

    def announce(self, emit: Emit, call: ToolCall, approval: str = "") -> int:
        """Write the item of the call and the events before its work; its `output_index`. `approval` is the id of the
        request that the client allowed it by."""
        ...

    async def run(self, call: ToolCall) -> Outcome:
        """Do it, within a time and a size of its own. What goes wrong is an outcome, too; only a cancel is raised."""
        ...

    def finish(self, emit: Emit, index: int, call: ToolCall, outcome: Outcome) -> None:
        """Write the events behind the work."""
        ...


class MakeKit(Protocol):
    """The tools on the server, for whoever needs some."""

    def __call__(self, request: ResponseRequest, context: RequestContext) -> Kit | None:
        """Those of one run; None when it needs none. Raises InvalidRequest for one that is not served."""
        ...

    async def check(self, request: ResponseRequest, context: RequestContext) -> None:
        """Before anything is said: whether that is there which its tools name. Raises InvalidRequest, NotFound, and
        what keeps it from being known."""
        ...


class Kit(Protocol):
    """The hosted tools of one run. Made anew when another process goes on with the run."""

    @property
    def cited(self) -> CitedFiles | None:
        """The files that its searches have found, whose marks are taken out of the text; None when it has none."""
        ...

    async def open(self, emit: Emit, history: list[Item]) -> list[HostedTool]:
        """Find out what there is, and tell the client where that is told (`mcp_list_tools`); what is in `history` need
        not be asked again. Raises CaravanError when the response cannot go on without it."""
        ...

    def allowed(self, items: list[Item]) -> list[tuple[ToolCall, str]]:
        """Calls in `items` that the client has allowed since they were asked for, each with the id of its approval
        request."""
        ...

    def learn(self, items: list[Item]) -> None:
        """What calls of this run have brought before, for whoever writes its text before :meth:`open`."""
        ...

    def annotate(self, text: str) -> Sequence[dict[str, Any]]:
        """The annotations of a finished text that follow from what the tools brought."""
        ...

    async def close(self) -> None:
        """Leave every server."""
        ...
