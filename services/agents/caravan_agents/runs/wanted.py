"""The calls that a model wants: announced and noted, to be made before its next turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caravan_agents.responses.items import Item
from caravan_agents.responses.turn import ToolCall
from caravan_agents.runs.calls import Emitting
from caravan_agents.runs.state import Pending, State
from caravan_agents.tools.base import HostedTool, Outcome

_SEARCHES = ("web_search_call", "file_search_call")
_TOO_MANY = "not run: there were max_tool_calls before"


def note(
    wanted: Sequence[tuple[ToolCall, str]],
    state: State,
    tools: Mapping[str, HostedTool],
    emit: Emitting,
    output: list[Item],
    most: int | None,
) -> None:
    """Announce `wanted` calls, each with the approval request that it was allowed by or "", and note them in `state`.
    Of a tool that is not there the model is told so; behind `most` calls none is made."""
    known = True
    for place, (call, approval) in enumerate(wanted):
        tool = tools.get(call.name)
        if tool is None:
            known = False
            state.said += _unknown(call, tools)
            continue
        asks = tool.approval(call) if not approval else None
        if asks is not None:
            emit.done(emit.add(asks), asks)
            state.said.append(output[-1])
            state.stop = True
            continue
        state.hosted_calls += 1
        skip = "" if most is None or state.hosted_calls <= most else _TOO_MANY
        index = tool.announce(emit, call, approval)
        state.pending.append(Pending(f"{state.turn}.{place}", call.id, call.name, call.arguments, index, skip))
    state.unknown_calls = 0 if known else state.unknown_calls + 1


def for_model(item: Item, outcome: Outcome) -> Item:
    """The item of a call as the model is told of it."""
    if item["type"] in _SEARCHES and not (item.get("results") or outcome.private.get("results")):
        return {**item, "results": [{"error": outcome.text}]}  # without results it would not hear of it at all
    return {**item, **outcome.private}


def _unknown(call: ToolCall, tools: Mapping[str, HostedTool]) -> list[Item]:
    there = ", ".join(sorted(tools)) or "none"
    text = f"There is no tool {call.name[:200]!r}. These are there: {there}."
    return [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.id, "output": text},
    ]
