"""A model that uses tools as it is told: the user's last words are its plan.

    weather {"city":"Paris"} ; transfer_to_german    one step after another, each a call of that tool
    weather {"city":"Paris"} & clock                 calls of one step are made at once
    say {"city":"Paris"}                             words, as they are
    say one moment | weather {"city":"Paris"}        words and then calls, in one answer

A step whose tool is not offered, and the end of the plan, is an answer in words: "told: " and the last result.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_RESULT = re.compile(r"<tool_result>\n(.*)\n</tool_result>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Act:
    """What it does: it calls, or it speaks."""

    text: str = ""
    calls: tuple[dict[str, Any], ...] = ()


def act(body: dict[str, Any]) -> Act:
    """The next step of a chat completion's `body`."""
    messages = body["messages"]
    asked = max(at for at, message in enumerate(messages) if message["role"] == "user")
    plan = [step.strip() for step in _text(messages[asked]["content"]).split(";")]
    made = sum(len(message.get("tool_calls") or ()) for message in messages[asked:])
    done = 0
    while made > 0 and done < len(plan):  # calls of one step may be told back in several messages
        made -= plan[done].count("&") + 1
        done += 1
    results = [_text(message["content"]) for message in messages[asked:] if message["role"] == "tool"]
    step = plan[done] if done < len(plan) else ""
    words, _, called = step.rpartition("|") if step.startswith("say ") else ("", "", step)
    if called.strip().startswith("say "):
        return Act(called.strip().removeprefix("say "))
    step = called.strip()
    offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
    named = [tuple(one.strip().partition(" ")) for one in step.split("&")]
    if all(name in offered for name, _, _ in named):
        return Act(
            words.strip().removeprefix("say "),
            tuple(_call(f"{len(messages)}_{at}", name, given) for at, (name, _, given) in enumerate(named)),
        )
    last = results[-1] if results else step
    return Act("told: " + last)


def pieces(call: dict[str, Any], index: int) -> list[dict[str, Any]]:
    """A call as a stream brings it: its head, then its arguments in two halves."""
    function = call["function"]
    arguments, half = function["arguments"], len(function["arguments"]) // 2
    return [
        {"index": index, **call, "function": {"name": function["name"], "arguments": ""}},
        *({"index": index, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:]) if part),
    ]


def _call(place: str, name: str, arguments: str) -> dict[str, Any]:
    made = json.dumps(json.loads(arguments or "{}"))
    return {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": made}}


def _text(content: Any) -> str:
    whole = content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())
    framed = _RESULT.search(whole)
    return framed[1] if framed else whole
