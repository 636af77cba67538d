"""Calls that the client allowed. Who may allow them is not asked here: the items are those of the tenant's own history
and input."""

from __future__ import annotations

from collections.abc import Iterable

from caravan_agents.responses.items import Item
from caravan_agents.responses.tools import joined_name
from caravan_agents.responses.turn import ToolCall


def approved(items: Iterable[Item]) -> list[ToolCall]:
    """The calls that were allowed and not made yet, in the order in which they were asked for: to be run before the
    first turn of the model. The id of each is that of its approval request."""
    items = list(items)
    made = {item.get("approval_request_id") for item in items if item["type"] == "mcp_call"}
    return [call for call in allowances(items).values() if call.id not in made]


def allowances(items: Iterable[Item]) -> dict[str, ToolCall]:
    """All calls that were ever allowed, by their approval requests. One that was denied as well is not among them."""
    requests: dict[str, Item] = {}
    answers: dict[str, bool] = {}
    for item in items:
        if item["type"] == "mcp_approval_request":
            requests.setdefault(item["id"], item)
        elif item["type"] == "mcp_approval_response":
            asked = item["approval_request_id"]
            answers[asked] = answers.get(asked, True) and item["approve"] is True
    return {
        asked: ToolCall(asked, joined_name(request["server_label"], request["name"]), request["arguments"] or "{}")
        for asked, request in requests.items()
        if answers.get(asked)
    }
