"""Tool calls, put together from their pieces, and their results."""

from __future__ import annotations

from typing import Any

from caravan_gateway.dialects.calls import Calls, Matching


def piece(name: str | None, arguments: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def test_pieces_without_a_number_belong_to_the_last_call_that_was_named() -> None:
    calls = Calls()
    calls.add([piece("a", '{"x":', id="one"), piece(None, "1}"), piece("b", "{}", id="two")])
    assert [(call.id, call.name, call.given()) for call in calls.take()] == [("one", "a", {"x": 1}), ("two", "b", {})]
    assert calls.take() == []


def test_pieces_of_several_calls_may_be_mixed() -> None:
    calls = Calls()
    calls.add([piece("a", '{"x"', index=0), piece("b", '{"y"', index=1)])
    calls.add([piece(None, ":1}", index=0), piece(None, ":2}", index=1)])
    assert [call.given() for call in calls.take()] == [{"x": 1}, {"y": 2}]


def test_a_result_is_matched_by_what_is_known_of_it() -> None:
    matching = Matching()
    first, second, third = matching.call("a", None), matching.call("b", "mine"), matching.call("a", None)
    assert len({first, second, third}) == 3 and second == "mine"
    assert matching.result("a", "mine") == "mine"
    assert matching.result("a", None) == first
    assert matching.result(None, None) == third
    assert matching.result("a", None) == "call_unknown"
