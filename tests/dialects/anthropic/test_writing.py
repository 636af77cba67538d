"""A chat completion as a message, and as its events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message
from caravan_contracts.errors import UpstreamFailed
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.anthropic.making import USAGE, chunk, events, gathered, piece, tail, writer, written

DONE = b"data: [DONE]\n\n"
SHOWN = {"type": "enabled", "budget_tokens": 2048}
MIXED = b"".join(
    [
        chunk(role="assistant", content=""),
        chunk(reasoning_content="h\u00f6"),
        chunk(reasoning_content="m"),
        chunk(content="I "),
        b": a comment\n\n",
        chunk(content="look \U0001f600"),
        chunk(tool_calls=[piece(0, "t1", "weather")]),
        chunk(tool_calls=[piece(0, arguments='{"city":')]),
        chunk(tool_calls=[piece(0, arguments='"Paris"}'), piece(1, "t2", "clock", "{}")]),
        chunk("tool_calls"),
        tail(USAGE),
        DONE,
    ]
)  # fmt: skip


def test_the_events_of_a_text() -> None:
    stream = chunk(role="assistant", content="") + chunk(content="one ") + chunk(content="two") + chunk("stop", USAGE)
    start, opened, ping, one, two, closed, delta, stop = written(stream + DONE)
    assert start["message"] == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
        },
    }  # fmt: skip
    assert opened == {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    assert ping == {"type": "ping"}
    assert one == {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one "}}
    assert two["delta"]["text"] == "two"
    assert closed == {"type": "content_block_stop", "index": 0}
    assert delta == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 6,
            "output_tokens": 4,
        },
    }
    assert stop == {"type": "message_stop"}


def test_thinking_text_and_calls_follow_each_other() -> None:
    told = written(MIXED, thinking=SHOWN)
    assert [(one["type"], one.get("index")) for one in told if "block_st" in one["type"]] == [
        (f"content_block_{what}", index) for index in range(4) for what in ("start", "stop")
    ]
    thought, text, *calls = gathered(told).content
    assert thought.type == "thinking" and thought.thinking == "höm" and thought.signature
    assert text.type == "text" and text.text == "I look \U0001f600"
    assert [(one.type, one.id, one.name, one.input) for one in calls if one.type == "tool_use"] == [
        ("tool_use", "t1", "weather", {"city": "Paris"}),
        ("tool_use", "t2", "clock", {}),
    ]
    assert gathered(told).stop_reason == "tool_use"
    signature = next(one for one in told if one.get("delta", {}).get("type") == "signature_delta")
    assert told[told.index(signature) + 1]["type"] == "content_block_stop"


def test_who_does_not_ask_for_thoughts_is_not_shown_them() -> None:
    assert [block.type for block in gathered(written(MIXED)).content] == ["text", "tool_use", "tool_use"]
    sealed = gathered(written(MIXED, thinking={"type": "adaptive", "display": "omitted"})).content[0]
    assert sealed.type == "thinking" and sealed.thinking == "" and sealed.signature


@given(st.lists(st.integers(0, len(MIXED)), max_size=12), st.booleans())
def test_any_cutting_of_the_stream_gives_the_same_events(cuts: list[int], carriage: bool) -> None:
    whole = MIXED.replace(b"\n", b"\r\n") if carriage else MIXED
    made = writer(thinking=SHOWN)
    at = 0
    said = b""
    for cut in [*sorted(cuts), len(whole)]:
        said += made.feed(whole[at:cut])
        at = max(at, cut)
    assert events(said + made.end()) == written(MIXED, thinking=SHOWN)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(st.sampled_from(["content", "reasoning_content", "call", "more"]), TEXTS), max_size=12))
def test_nothing_is_lost_whatever_the_order(pieces: list[tuple[str, str]]) -> None:
    stream, calls = b"", 0
    for kind, text in pieces:
        if kind == "call":
            stream += chunk(tool_calls=[piece(calls, f"t{calls}", "weather", json.dumps({"x": text}))])
            calls += 1
        elif kind == "more":
            stream += chunk(content=text, role="assistant")
        else:
            stream += chunk(**{kind: text})
    message = gathered(written(stream + chunk("stop"), thinking=SHOWN))
    said = {"text": "", "thinking": ""}
    for block in message.content:
        if block.type in said:
            said[block.type] += getattr(block, block.type)
    assert said["text"] == "".join(text for kind, text in pieces if kind in ("content", "more"))
    assert said["thinking"] == "".join(text for kind, text in pieces if kind == "reasoning_content")
    assert [b.input["x"] for b in message.content if b.type == "tool_use"] == [t for k, t in pieces if k == "call"]


@pytest.mark.parametrize(
    ("last", "reason", "sequence"),
    [
        (chunk("stop"), "end_turn", None),
        (chunk("length"), "max_tokens", None),
        (chunk("content_filter"), "refusal", None),
        (chunk(refusal="no") + chunk("stop"), "refusal", None),
        (chunk("stop", choice={"stop_reason": "END"}), "stop_sequence", "END"),
        (chunk("stop", choice={"matched_stop": "END"}), "stop_sequence", "END"),
        (chunk("stop", choice={"stop_reason": 128009}), "end_turn", None),
        (chunk(tool_calls=[piece(0, "t1", "x", "{}")]) + chunk("stop"), "tool_use", None),
        (chunk(tool_calls=[piece(0, "t1", "x", "{}")]) + chunk("length"), "max_tokens", None),
    ],
)
def test_why_it_ended(last: bytes, reason: str, sequence: str | None) -> None:
    made = gathered(written(chunk(content="hm") + last, stop_sequences=["END"]))
    assert (made.stop_reason, made.stop_sequence) == (reason, sequence)


def test_an_answer_of_nothing_is_a_message_all_the_same() -> None:
    assert [one["type"] for one in written(DONE)] == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize("place", [{"index": 0}, {}])
def test_calls_that_are_told_apart_by_their_ids_alone(place: dict[str, Any]) -> None:
    whole = [{"id": f"t{at}", "function": {"name": "x", "arguments": f'{{"a":{at}}}'}, **place} for at in range(2)]
    made = gathered(written(chunk(tool_calls=whole) + chunk("tool_calls")))
    assert [(b.id, b.input) for b in made.content if b.type == "tool_use"] == [("t0", {"a": 0}), ("t1", {"a": 1})]


def test_pieces_of_calls_that_are_mixed_are_no_message() -> None:
    both = chunk(tool_calls=[piece(0, "t1", "x", "{"), piece(1, "t2", "y", "{}")])
    with pytest.raises(UpstreamFailed):
        writer().feed(both + chunk(tool_calls=[piece(0, arguments="}")]))


def whole(message: dict[str, Any], finish: str = "stop", **more: Any) -> Message:
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "model": "m", "choices": choices, "usage": USAGE}
    return Message.model_validate_json(writer(**more).whole(json.dumps(body).encode()))


def test_a_whole_message() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    said = {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": [call]}
    made = whole(said, "tool_calls", thinking=SHOWN)
    assert [block.type for block in made.content] == ["thinking", "text", "tool_use"]
    assert (made.id, made.model, made.stop_reason) == ("msg_1", "m", "tool_use")
    assert (made.usage.input_tokens, made.usage.cache_read_input_tokens, made.usage.output_tokens) == (4, 6, 4)
    assert [block.type for block in whole(said).content] == ["text", "tool_use"]
    assert whole({"content": None, "refusal": "no"}).stop_reason == "refusal"
    assert whole({"content": "much"}, "length").stop_reason == "max_tokens"


@pytest.mark.parametrize("answer", [b"hello", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"index":0}]}'])
def test_what_is_no_chat_completion(answer: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        writer().whole(answer)


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"'])
def test_arguments_that_are_no_object_are_no_input(arguments: str) -> None:
    with pytest.raises(UpstreamFailed):
        whole({"content": None, "tool_calls": [{"id": "t", "function": {"name": "x", "arguments": arguments}}]})


def test_an_event_that_is_no_chunk() -> None:
    with pytest.raises(UpstreamFailed):
        writer().feed(b"data: hello\n\n")
