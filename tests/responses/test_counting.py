"""Tokens reckoned without a model: near what tokenizers say, and never a surprise."""

from __future__ import annotations

import json

import pytest
from caravan_agents.responses import counting
from caravan_contracts.errors import InvalidRequest
from hypothesis import given
from hypothesis import strategies as st

# What the tokenizer of the bundled SmolLM2 counts.
KNOWN = {
    "The capital of France is Paris, which lies on the Seine. It has been the country's most important city since the "
    "Middle Ages, and about two million people live there today.": 37,
    "Write these specifications as JSON: 16GB RAM and a 1TB SSD.": 18,
    'def total(rows):\n    return sum(row["price"] * row["count"] for row in rows)\n': 24,
    '{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": '
    '{"city": {"type": "string"}}}}': 35,
}


@pytest.mark.parametrize(("text", "tokens"), KNOWN.items())
def test_a_text_is_reckoned_to_within_a_fifth(text: str, tokens: int) -> None:
    assert abs(counting.of_text(text) - tokens) <= tokens / 5


def test_no_text_is_no_token() -> None:
    assert counting.of_text("") == 0


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_fewer_tokens(one: str, other: str) -> None:
    assert counting.of_text(one + "\n\n" + other) >= max(counting.of_text(one), counting.of_text(other)) - 1


def test_everything_that_the_model_reads_counts() -> None:
    def count(**message: object) -> int:
        return counting.of_request([{"role": "user", "content": "hello", **message}])

    plain = count()
    assert count(content="hello there") > plain
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    assert count(content=[{"type": "text", "text": "hello"}, image]) == plain + 85
    call = {"function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    assert count(tool_calls=[call]) > plain + 5
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    assert counting.of_request([{"role": "user", "content": "hello"}], [tool]) > plain + 10


def test_a_chat_completion_is_counted_as_it_would_be_asked() -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": "hello"}]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]

    def count(**more: object) -> int:
        return counting.of_chat(json.dumps({"model": "m", "messages": messages, **more}).encode())

    assert count() == counting.of_request(messages)
    assert count(tools=tools) > count()


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url"}]},
        {"role": "user", "content": ["hello"]},
        {"role": "assistant", "tool_calls": [{}]},
        {"role": "assistant", "tool_calls": 7},
    ],
)
def test_what_is_no_chat_completion_is_not_counted(message: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        counting.of_chat(json.dumps({"model": "m", "messages": [message]}).encode())
    assert raised.value.param == "messages"
