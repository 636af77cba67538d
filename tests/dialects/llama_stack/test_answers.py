"""Answers in the words of every generation, whole and as they stream."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from caravan_contracts.errors import UpstreamFailed
from caravan_gateway.dialects.llama_stack.chat import ChatWriter
from caravan_gateway.dialects.llama_stack.embeddings import EmbeddingsWriter
from caravan_gateway.dialects.llama_stack.end_mark import WithoutMark
from caravan_gateway.dialects.llama_stack.generations import FIRST, SECOND, THIRD, Generation
from caravan_gateway.dialects.llama_stack.text import TextWriter
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.llama_stack.events import Object, chunk, piece, read, sent

USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
STREAM = sent(
    chunk({"role": "assistant", "content": "Ma"}),
    chunk({"content": "ñ 🌙"}, logprobs={"content": [{"token": "ñ", "logprob": -0.5, "top_logprobs": []}]}),
    piece(0, "", id="c0", name="weather"),
    piece(1, '{"zone":', id="c1", name="clock"),
    piece(0, '{"city":"Paris"}'),
    piece(1, '"CET"}'),
    chunk({}, "tool_calls"),
    {"choices": [], "usage": USAGE},
)


def streamed(generation: Generation, *parts: bytes) -> list[Any]:
    writer = ChatWriter(generation)
    return read(b"".join(writer.feed(part) for part in parts) + writer.end())


def whole(message: Object, finish: str, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


def test_text_of_the_first_generations_is_a_string() -> None:
    got = streamed(FIRST, sent(chunk({"content": "Moon"}), chunk({}, "stop")))
    empty = {"logprobs": None, "stop_reason": None}
    assert got == [
        {"event": {"event_type": "start", "delta": "", **empty}},
        {"event": {"event_type": "progress", "delta": "Moon", **empty}},
        {"event": {"event_type": "complete", "delta": "", "logprobs": None, "stop_reason": "end_of_turn"}},
    ]


def test_calls_of_the_third_generation_come_in_pieces_and_then_whole() -> None:
    got = streamed(THIRD, STREAM)
    deltas = [each["event"]["delta"] for each in got]
    assert [delta.get("parse_status", delta.get("text")) for delta in deltas] == [
        "", "Ma", "ñ 🌙", "started", "started", "in_progress", "in_progress", "in_progress",
        "succeeded", "succeeded", "",
    ]  # fmt: skip
    first = {"call_id": "c0", "tool_name": "weather", "arguments": {"city": "Paris"}}
    assert deltas[8]["tool_call"] == {**first, "arguments_json": '{"city":"Paris"}'}
    assert got[2]["event"]["logprobs"] == [{"logprobs_by_token": {"ñ": -0.5}}]
    assert got[-1]["event"]["stop_reason"] == "end_of_message"
    assert [metric["value"] for metric in got[-1]["metrics"]] == [7, 4, 11]


def test_calls_of_the_first_generations() -> None:
    deltas = [each["event"]["delta"] for each in streamed(SECOND, STREAM)]
    assert deltas[3] == {"content": "", "parse_status": "started"}
    assert deltas[8]["parse_status"] == "success"
    assert deltas[8]["content"] == {"call_id": "c0", "tool_name": "weather", "arguments": {"city": "Paris"}}


@pytest.mark.parametrize(("generation", "status"), [(FIRST, "failure"), (THIRD, "failed")])
def test_a_call_that_is_no_json_failed_and_is_what_the_model_wrote(generation: Generation, status: str) -> None:
    got = streamed(generation, sent(piece(0, '{"city', id="c", name="weather"), chunk({}, "length")))
    delta = got[-2]["event"]["delta"]
    assert (delta["parse_status"], delta.get("content", delta.get("tool_call"))) == (status, '{"city')
    assert got[-1]["event"]["stop_reason"] == "out_of_tokens"


@given(st.sets(st.integers(1, len(STREAM) - 1)), st.sampled_from([FIRST, SECOND, THIRD]), st.booleans())
def test_any_cutting_of_a_stream_gives_the_same_events(cuts: set[int], generation: Generation, crlf: bool) -> None:
    data = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    places = [0, *sorted(cuts), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    assert streamed(generation, *parts) == streamed(generation, STREAM)


@given(st.integers(0, len(STREAM)))
def test_nothing_is_complete_before_the_end(cut: int) -> None:
    told = read(ChatWriter(THIRD).feed(STREAM[:cut]))
    assert "complete" not in [each["event"]["event_type"] for each in told]
    assert "succeeded" not in [each["event"]["delta"].get("parse_status") for each in told]


def test_a_stream_that_says_nothing_starts_and_ends() -> None:
    kinds = [each["event"]["event_type"] for each in streamed(THIRD)]
    assert kinds == ["start", "complete"]


def test_what_is_no_json_breaks_a_stream() -> None:
    with pytest.raises(UpstreamFailed):
        ChatWriter(FIRST).feed(b"data: {nonsense\n\n")
    with pytest.raises(UpstreamFailed):
        ChatWriter(FIRST).feed(b"data: " + b"x" * (5 * 1024 * 1024))


def test_whole_answers() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    got = ChatWriter(THIRD).answer(whole({"content": None, "tool_calls": [call]}, "tool_calls", usage=USAGE))
    made = {"call_id": "c", "tool_name": "weather", "arguments": {"city": "Paris"}}
    assert got["completion_message"] == {
        "role": "assistant",
        "content": "",
        "stop_reason": "end_of_message",
        "tool_calls": [{**made, "arguments_json": '{"city":"Paris"}'}],
    }
    assert got["metrics"][0] == {"metric": "prompt_tokens", "value": 7, "unit": "tokens"}
    first = ChatWriter(FIRST).answer(whole({"content": "x", "tool_calls": [call]}, "stop"))
    assert first["completion_message"]["tool_calls"] == [made]
    assert "metrics" not in first


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_of_turn"), ("length", "out_of_tokens"), ("content_filter", "out_of_tokens"), (None, "end_of_turn")],
)
def test_stop_reasons(finish: str, reason: str) -> None:
    assert ChatWriter(FIRST).answer(whole({"content": "x"}, finish))["completion_message"]["stop_reason"] == reason


def test_texts() -> None:
    def said(text: str, finish: str | None = None) -> Object:
        return {"choices": [{"index": 0, "text": text, "finish_reason": finish}]}

    writer = TextWriter(SECOND)
    got = read(writer.feed(sent(said("a"), said("b"), said("", "length"))) + writer.end())
    assert [(each["delta"], each["stop_reason"]) for each in got] == [("a", None), ("b", None), ("", "out_of_tokens")]
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"b": -2.0}]}
    answer = {"choices": [{"text": "a", "finish_reason": "stop", "logprobs": logprobs}]}
    assert TextWriter(FIRST).answer(json.dumps(answer).encode()) == {
        "content": "a",
        "stop_reason": "end_of_turn",
        "logprobs": [{"logprobs_by_token": {"a": -0.1, "b": -2.0}}],
    }


def test_embeddings_in_the_order_of_what_was_asked() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    assert EmbeddingsWriter().answer(json.dumps({"data": rows}).encode()) == {"embeddings": [[1.0], [2.0]]}


@pytest.mark.parametrize("answer", [b"hello", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[7]}'])
def test_what_is_no_answer_is_the_providers_failure(answer: bytes) -> None:
    for writer in (ChatWriter(FIRST), TextWriter(THIRD)):
        with pytest.raises(UpstreamFailed):
            writer.answer(answer)


def test_what_has_no_embeddings_is_the_providers_failure() -> None:
    with pytest.raises(UpstreamFailed):
        EmbeddingsWriter().answer(b'{"data":[{"index":0}]}')


MARKED = b'data: {"text":"data: [DONE]"}\n\n: data: [DONE]\n\ndata: x\r\n\r\ndata: [DONE]\r\n\r\ndata: [DONE]\n\n'


@given(st.sets(st.integers(1, len(MARKED) - 1)), st.integers(0, 2))
def test_only_the_mark_is_left_out_however_a_stream_is_cut(cuts: set[int], without: int) -> None:
    data = MARKED[: len(MARKED) - without]
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    writer = WithoutMark()
    told = b"".join(writer.feed(data[start:end]) for start, end in itertools.pairwise(places)) + writer.end()
    kept = [line for line in told.split(b"\n") if line.strip()]
    assert kept == [b'data: {"text":"data: [DONE]"}', b": data: [DONE]", b"data: x\r"]
