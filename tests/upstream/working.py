"""The scripted model `work-3`: three turns with two calls each of the first tool that is offered, then an answer. What
it calls follows from the messages alone, so that a turn that is asked for again is the same."""

from __future__ import annotations

import json
from typing import Any

SIDE_BY_SIDE = 2


def calls(body: dict[str, Any], turns: int) -> list[dict[str, Any]]:
    """The calls of this turn; none when it answers in words."""
    done = sum(1 for message in body["messages"] if message["role"] == "tool")
    tools = body.get("tools") or []
    if not tools or done >= turns * SIDE_BY_SIDE:
        return []
    name = tools[0]["function"]["name"]
    task = next(message["content"] for message in body["messages"] if message["role"] == "user")
    made = []
    for number in range(done, done + SIDE_BY_SIDE):
        arguments = json.dumps({"task": task, "step": number})
        made.append({"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}})
    return made
