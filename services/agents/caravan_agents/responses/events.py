"""Writes the events of a response: OpenAI's names, fields and order, one numbering from the first to the last.

Source: OpenAI's API reference, "Streaming events"; `openai.types.responses.ResponseStreamEvent`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from caravan_agents.responses.assembly import IncompleteReason, ResponseObject
from caravan_agents.responses.ids import item_id
from caravan_agents.responses.items import Item
from caravan_agents.responses.sse import EventLog
from caravan_agents.responses.tools import offered
from caravan_agents.responses.turn import Hooks, Rules, Turn, TurnWriter

_NONE: Final = Hooks()
_UNDER_WAY: Final = frozenset({"in_progress", "searching", "calling"})
Terminal = Literal["completed", "incomplete", "failed", "cancelled"]
_TERMINAL: Final = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.incomplete",
}
"""There is no event for a cancelled response: `response.incomplete` ends its stream, and its status says the truth."""


class EventWriter:
    """Every method gives the bytes to send: whole events, or b"". Behind the terminal event they raise RuntimeError.

    ``start → begin → (feed* → end_turn, add_item → item_event* → finish_item)* → finish``

    Items that tools of the server make may be added between turns, several at once; all are in `response.output` at
    the place of their `output_index` from the moment they are announced.
    """

    def __init__(self, response: ResponseObject, hooks: Hooks = _NONE, sequence: int = 0) -> None:
        """`sequence`, and what is in `response.output`, let a stream go on that another process began; an item that is
        under way there is as if it had been added here."""
        self.response = response
        self.ended = False
        """Whether the terminal event was written."""
        self._log = EventLog(sequence, response.request.obfuscation)
        self._make = hooks.make
        self._rules = Rules({tool.name: tool for tool in offered(response.request.tools)}, hooks)
        self._turn: TurnWriter | None = None
        left = enumerate(response.output)
        self._added: dict[int, Item] = {index: item for index, item in left if item.get("status") in _UNDER_WAY}

    @property
    def cites(self) -> bool:
        """Whether marks of files are taken out of its texts."""
        return self._rules.hooks.cited is not None

    @property
    def sequence(self) -> int:
        """The number of the next event."""
        return self._log.sequence

    def start(self) -> bytes:
        """`response.created`; of a background response `response.queued` as well."""
        if not self.response.request.background:
            return self._lifecycle("response.created", self.response.snapshot("in_progress"))
        queued = self.response.snapshot("queued")
        return self._lifecycle("response.created", queued) + self._lifecycle("response.queued", queued)

    def begin(self) -> bytes:
        """`response.in_progress`."""
        return self._lifecycle("response.in_progress", self.response.snapshot("in_progress"))

    def feed(self, data: bytes) -> bytes:
        """Bytes of a chat completion's stream, cut anywhere; the first of them begin a turn."""
        self._still()
        if self._turn is None:
            self._turn = TurnWriter(self._log, self.response, self._rules)
        self._turn.feed(data)
        return self._log.take()

    def end_turn(self) -> tuple[Turn, bytes]:
        """The stream has ended: what came of it, and the events that close its items."""
        turn = self._turn or TurnWriter(self._log, self.response, self._rules)
        self._turn = None
        ended = turn.end()
        return ended, self._log.take()

    def add_item(self, item: Item) -> tuple[int, bytes]:
        """Announce an item that is not the model's, as it is at its beginning; an id is given to it if it has none.

        The first value is its `output_index`.
        """
        self._still()
        if not item.get("id"):
            item = {"id": item_id(item["type"], self._make), **item}
        index = len(self.response.output)
        self.response.output.append(item)
        self._added[index] = item
        self._log.event("response.output_item.added", {"output_index": index, "item": item})
        return index, self._log.take()

    def item_event(self, index: int, type: str, **fields: Any) -> bytes:
        """An event of an item that was added: ``response.mcp_call.in_progress``, ``….mcp_call_arguments.done`` …"""
        place = {"item_id": self._added[index]["id"], "output_index": index}
        self._log.event(type, {**place, **fields})
        return self._log.take()

    def finish_item(self, index: int, item: Item) -> bytes:
        """`output_item.done` of an item that was added, as it is now; its id stays."""
        done = {**item, "id": self._added.pop(index)["id"]}
        self.response.output[index] = done
        self._log.event("response.output_item.done", {"output_index": index, "item": done})
        return self._log.take()

    def whole_item(self, item: Item) -> bytes:
        """An item that is finished when it is announced, such as an approval request."""
        index, added = self.add_item(item)
        return added + self.finish_item(index, item)

    def finish(
        self,
        status: Terminal,
        *,
        error: dict[str, Any] | None = None,
        reason: IncompleteReason | None = None,
        at: int | None = None,
    ) -> bytes:
        """The terminal event; what is still open is closed before it, as incomplete. `at` is in Unix seconds."""
        self._still()
        self.ended = True
        if self._turn is not None:
            self._turn.end(cut=True)
            self._turn = None
        closed = self._log.take()
        for index, item in sorted(self._added.items()):
            left = {**item, "status": "incomplete"} if "status" in item else item
            closed += self.finish_item(index, left)
        done = self.response.snapshot(status, error=error, reason=reason, completed_at=at)
        return closed + self._lifecycle(_TERMINAL[status], done)

    def _still(self) -> None:
        if self.ended:
            raise RuntimeError(f"the response {self.response.id} has ended already")

    def _lifecycle(self, type: str, snapshot: dict[str, Any]) -> bytes:
        self._log.event(type, {"response": snapshot})
        return self._log.take()
