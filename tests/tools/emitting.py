"""What a run does with a kit, without the run."""

from __future__ import annotations

from typing import Any

from caravan_agents.responses.items import Item
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import HostedTool, Kit, Outcome

from tests.responses.machine import Machine, follow
from tests.responses.writing import writer


class Told:
    """An Emit over a real writer: everything that a client hears."""

    def __init__(self, **body: Any) -> None:
        self.writer = writer(**body)
        self._out = [self.writer.start(), self.writer.begin()]

    def add(self, item: Item) -> int:
        index, data = self.writer.add_item(item)
        self._out.append(data)
        return index

    def event(self, index: int, type: str, **fields: Any) -> None:
        self._out.append(self.writer.item_event(index, type, **fields))

    def done(self, index: int, item: Item) -> None:
        self._out.append(self.writer.finish_item(index, item))

    @property
    def output(self) -> list[Item]:
        return self.writer.response.output

    def end(self, failed: bool = False) -> Machine:
        """End the response, and hold what was told against the rules."""
        if failed:
            self._out.append(self.writer.finish("failed", error={"code": "server_error", "message": "it failed"}))
        else:
            self._out.append(self.writer.finish("completed", at=1700000009))
        return follow(b"".join(self._out))


def named(tools: list[HostedTool], name: str) -> HostedTool:
    """The tool that its server calls so."""
    return next(tool for tool in tools if tool.offered.tool == name)


async def made(told: Told, tool: HostedTool, arguments: str = "{}", id: str = "call_1") -> Outcome:
    """One call, from the announcement to its end."""
    call = ToolCall(id, tool.offered.name, arguments)
    index = tool.announce(told, call)
    outcome = await tool.run(call)
    tool.finish(told, index, call, outcome)
    return outcome


async def opened(kit: Kit | None, told: Told, history: list[Item] | None = None) -> list[HostedTool]:
    assert kit is not None
    return await kit.open(told, history or [])
