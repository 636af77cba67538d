from __future__ import annotations

from typing import Any

from caravan_agents.responses.truncating import shortened


def message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def test_whole_turns_go_the_oldest_first_and_rules_stay() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "x"}
    rule, last = message("developer", "rule"), message("user", "two")
    items = [rule, message("user", "one"), call, result, message("assistant", "done"), last]
    assert shortened(items) == [rule, last]
    assert shortened([rule, last]) is None


def test_it_ends_with_one_turn() -> None:
    items: list[dict[str, Any]] | None = [message("user", str(number)) for number in range(40)]
    lengths = []
    while items is not None:
        lengths.append(len(items))
        items = shortened(items)
    assert lengths[-1] == 1 and lengths == sorted(set(lengths), reverse=True)
