"""A stream of Anthropic's on its way through: the same bytes however they come, and one good end."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.inference import Usage
from caravan_inference.body import rename_own_model
from caravan_inference.providers.openai_compatible.messages import MessageForwarder
from hypothesis import given
from hypothesis import strategies as st

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "id": "msg_1",
        "type": "message",
        "content": [],
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 7,
            "output_tokens": 1,
        },
    },
}
STOP: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 9, "input_tokens": None},
}
END: dict[str, Any] = {"type": "message_stop"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
TRAPS = [
    '"type":"message_stop"',
    '{"type":"error","error":{"type":"x"}}',
    "event: message_stop\n\n",
    "data: [DONE]\n\n",
    "}\n\n",
    "{",
    '"model":"claude-x"',
    "é\r\n",
]
"""Texts that look like something else."""


def event(data: dict[str, Any], spaces: bool = False, ascii: bool = False) -> bytes:
    text = json.dumps(data, separators=None if spaces else (",", ":"), ensure_ascii=ascii)
    return f"event: {data['type']}\ndata: {text}\n\n".encode()


def delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def found(block: dict[str, Any]) -> dict[str, Any]:
    """A block that is JSON itself, as what a server tool found."""
    return {"type": "content_block_start", "index": 1, "content_block": block}


def fed(forwarder: MessageForwarder, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cuts), len(data)]
    made = b""
    for start, stop in pairwise(edges):
        if stop > start and not forwarder.done and forwarder.error is None:
            made += forwarder.feed(data[start:stop])
    return made


@given(
    st.lists(st.one_of(st.text(max_size=12), st.sampled_from(TRAPS)), max_size=8),
    st.lists(st.integers(0, 2000), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_any_chunking_gives_the_same_bytes_with_the_models_name(
    texts: list[str], cuts: list[int], spaces: bool, ascii: bool
) -> None:
    trap = found({"type": "error", "error": {"type": "y"}, "result": END, "model": "claude-x"})
    told = [START, *map(delta, texts), trap, {"type": "ping"}, STOP, END]
    raw = b": hello\n\n" + b"".join(event(one, spaces, ascii) for one in told)
    forwarder = MessageForwarder("my/claude")
    got = fed(forwarder, raw + b"data: [DONE]\n\n", [cut for cut in cuts if cut < len(raw)])
    assert got == raw.replace(b"claude-x", b"my/claude", 1)
    assert forwarder.done
    summary = forwarder.summary(1.0)
    assert (summary.response_id, summary.model, summary.finish_reason) == ("msg_1", "claude-x", "end_turn")
    assert summary.usage == Usage(15, 9, 5)


@given(st.integers(1, 400), st.lists(st.integers(0, 500), max_size=9))
def test_a_stream_that_is_cut_anywhere_has_no_good_end(left: int, cuts: list[int]) -> None:
    raw = b"".join(map(event, [START, delta("a"), STOP, END])).rstrip(b"\n")
    forwarder = MessageForwarder("claude-x")
    assert b"message_stop" not in fed(forwarder, raw[: -min(left, len(raw))], cuts)
    forwarder.rest()  # is sent with a good end alone
    assert not forwarder.done
    with pytest.raises(UpstreamBroke):
        forwarder.summary(0)


def test_a_good_end_needs_no_blank_line_behind_it() -> None:
    forwarder = MessageForwarder("claude-x")
    raw = b"".join(map(event, [START, STOP, END]))
    assert forwarder.feed(raw[:-2]) + forwarder.rest() == raw
    assert forwarder.done


def test_line_ends_become_those_of_everybody() -> None:
    raw = b"".join(map(event, [START, delta("a"), STOP, END]))
    forwarder = MessageForwarder("claude-x")
    assert fed(forwarder, raw.replace(b"\n", b"\r\n"), [5, 60, 61, 200, 201, 202]) == raw
    assert forwarder.done


@pytest.mark.parametrize(
    ("kind", "status"), [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("other", 502)]
)
def test_an_error_in_the_stream_is_raised_and_not_passed_on(kind: str, status: int) -> None:
    forwarder = MessageForwarder("claude-x")
    raw = event(START) + event(delta("a"))
    assert forwarder.feed(raw + event({**OVERLOADED, "error": {"type": kind, "message": "no"}}) + event(END)) == raw
    assert isinstance(forwarder.error, UpstreamBroke)
    assert (forwarder.error.status, forwarder.error.type, forwarder.error.message) == (status, kind, "no")
    assert not forwarder.done


def test_an_error_of_a_server_that_writes_openai_s_is_one_too() -> None:
    forwarder = MessageForwarder("claude-x")
    forwarder.feed(event(START) + b'data: {"error":{"message":"out of memory","code":500}}\n\n')
    assert forwarder.error is not None and forwarder.error.message == "out of memory"


@pytest.mark.parametrize("bad", ['data: {"type":"content_blo', "event: x\ndata: hello", 'data: {"a":1}}'])
def test_an_event_that_is_no_json_is_left_out(bad: str) -> None:
    forwarder = MessageForwarder("claude-x")
    got = forwarder.feed(event(START) + bad.encode() + b"\n\n" + event(delta("a")) + event(STOP) + event(END))
    assert got == b"".join(map(event, [START, delta("a"), STOP, END]))


def test_an_event_without_an_end_does_not_fill_the_memory() -> None:
    forwarder = MessageForwarder("claude-x")
    assert forwarder.feed(b"x" * 4 * 1024 * 1024) == b""
    with pytest.raises(UpstreamBroke, match="more than"):
        forwarder.feed(b"x")


@given(st.sampled_from(["m", "a/b", 'q"\\', "é"]), st.booleans(), st.booleans())
def test_only_the_models_own_name_is_changed(name: str, first: bool, spaces: bool) -> None:
    nested: dict[str, Any] = {"tools": [{"input": {"model": name, "x": '{"model":"z"}'}}, {"model": ["model"]}], "n": 1}
    data = {"model": name, **nested} if first else {**nested, "model": name, "seed": 1.10}
    body = json.dumps(data, separators=None if spaces else (",", ":")).encode()
    changed = rename_own_model(body, name, "new")
    assert json.loads(changed) == {**data, "model": "new"}
    assert len(changed) - len(body) == len('"new"') - len(json.dumps(name))


@pytest.mark.parametrize(
    "body",
    [
        rb'{"model":"zz","model":"m"}',
        rb'{"mod\u0065l":"m","x":{"model":"m"}}',
        rb'{"metadata":{"model":"m"},"mod\u0065l":"m"}',
        rb'{"\u006dodel":"m"}',
    ],
)
def test_the_name_that_was_read_is_the_one_that_is_changed(body: bytes) -> None:
    before = orjson.loads(body)
    assert orjson.loads(rename_own_model(body, "m", "new")) == {**before, "model": "new"}
