"""However an answer is cut into a stream, what is put together of it is the answer."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from caravan_agents.completions.assembly import NotAnAnswer, assemble, events
from hypothesis import given
from hypothesis import strategies as st

text = st.text(st.characters(codec="utf-8"), max_size=12)
word = st.text("abcdef_", min_size=1, max_size=6)
logprob = st.fixed_dictionaries(
    {"token": text, "logprob": st.floats(-9, 0), "bytes": st.none(), "top_logprobs": st.just([])}
)
call = st.fixed_dictionaries(
    {"id": word, "type": st.just("function"), "function": st.fixed_dictionaries({"name": word, "arguments": text})}
)
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message: dict[str, Any] = {
            "role": "assistant",
            "content": draw(st.none() | text),
            "refusal": draw(st.none() | text),
        }
        if calls := draw(st.lists(call, max_size=3, unique_by=lambda c: c["id"])):
            message["tool_calls"] = calls
        if (thought := draw(st.none() | text)) is not None:
            message["reasoning_content"] = thought
        tokens = draw(st.lists(logprob, max_size=3))
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": {"content": tokens, "refusal": None} if tokens else None,
                "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls"])),
            }
        )
    head = {"id": draw(word), "object": "chat.completion", "created": draw(st.integers(1, 2**31)), "model": draw(word)}
    return {**head, "choices": choices, "usage": USAGE, "system_fingerprint": draw(word)}


def cut(draw: st.DrawFn, value: str) -> list[str]:
    """`value` in pieces, some of them empty."""
    at = sorted(draw(st.lists(st.integers(0, len(value)), max_size=4)))
    return [value[a:b] for a, b in zip([0, *at], [*at, len(value)], strict=True)]


def deltas(draw: st.DrawFn, choice: dict[str, Any]) -> list[dict[str, Any]]:
    """The choice as a list of choices of chunks, in an order in which a provider may send them."""
    message = choice["message"]
    made: list[dict[str, Any]] = [{"delta": {"role": "assistant"}}]
    for name in ("reasoning_content", "content", "refusal"):
        if message.get(name) is not None:
            made += [{"delta": {name: piece}} for piece in cut(draw, message[name])]
    for index, one in enumerate(message.get("tool_calls", ())):
        function = {"name": one["function"]["name"], "arguments": ""}
        made.append(
            {"delta": {"tool_calls": [{"index": index, "id": one["id"], "type": "function", "function": function}]}}
        )
        for piece in cut(draw, one["function"]["arguments"]):
            made.append({"delta": {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}})
    if choice["logprobs"]:
        for token in choice["logprobs"]["content"]:
            made.append({"delta": {}, "logprobs": {"content": [token], "refusal": None}})
    made.append({"delta": {}, "finish_reason": choice["finish_reason"]})
    return [{"index": choice["index"], "finish_reason": None, **part} for part in made]


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A completion, and a stream of it: choices interleaved, several in a chunk or one, any line ends, comments."""
    whole = draw(completions())
    waiting = [deltas(draw, choice) for choice in whole["choices"]]
    head = {
        **{k: whole[k] for k in ("id", "created", "model", "system_fingerprint")},
        "object": "chat.completion.chunk",
    }
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
    made = b""
    while any(waiting):
        chosen = draw(st.lists(st.sampled_from([i for i, w in enumerate(waiting) if w]), min_size=1, unique=True))
        made += b"data: " + orjson.dumps({**head, "choices": [waiting[i].pop(0) for i in chosen]}) + end
        if draw(st.booleans()):
            made += b": ping" + end
    made += b"data: " + orjson.dumps({**head, "choices": [], "usage": USAGE}) + end + b"data: [DONE]" + end
    return whole, made


@given(streams())
def test_a_stream_is_put_together_to_what_it_was(case: tuple[dict[str, Any], bytes]) -> None:
    whole, stream = case
    assert assemble(stream) == whole


@given(streams())
def test_putting_together_changes_nothing_it_was_given(case: tuple[dict[str, Any], bytes]) -> None:
    _, stream = case
    first = assemble(stream)
    kept = copy.deepcopy(first)
    assert assemble(stream) == kept == first


@given(st.binary(max_size=300))
def test_any_bytes_are_a_completion_or_none(data: bytes) -> None:
    try:
        assert assemble(data)["object"] == "chat.completion"
    except NotAnAnswer:
        return


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["choices", "id", "usage", "error"]),
            st.recursive(
                st.none() | st.integers(-9, 9) | text,
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(["delta", "index", "message", "tool_calls", "content", "id", "function"]),
                        inner,
                        max_size=3,
                    )
                ),
            ),
        )
    )
)
def test_any_json_is_a_completion_or_none(chunks: list[Any]) -> None:
    data = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    try:
        assert assemble(data)["object"] == "chat.completion"
    except NotAnAnswer:
        return


def stream(*parts: dict[str, Any]) -> bytes:
    chunks = ({"id": "c", "choices": [{"index": 0, "delta": part}]} for part in parts)
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)


def test_tool_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    made = assemble(
        stream(
            {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
            {"tool_calls": [{"function": {"arguments": "}"}}]},
            {"tool_calls": [{"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        )
    )
    calls = made["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]) for c in calls] == [
        ("a", {"name": "f", "arguments": "{}"}),
        ("b", {"name": "g", "arguments": "{}"}),
    ]


def test_what_is_said_with_every_chunk_is_said_once() -> None:
    made = assemble(stream({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}))
    assert made["choices"][0]["message"] == {"role": "assistant", "content": "ab", "refusal": None}


def test_a_stream_that_ended_with_an_error_is_no_answer() -> None:
    with pytest.raises(NotAnAnswer):
        assemble(stream({"content": "a"}) + b'data: {"error": {"message": "no"}}\n\n')


def test_an_event_of_several_lines_is_one() -> None:
    assert list(events(b"event: x\ndata: a\ndata: b\nid: 1\n\ndata:c")) == [b"a\nb", b"c"]
