"""OpenAI's answers in Ollama's words, however they are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import UpstreamBroke, UpstreamFailed
from caravan_gateway.dialects.ollama.dialects import CHAT
from caravan_gateway.dialects.ollama.embedding import EmbedWriter
from caravan_gateway.dialects.ollama.writing import ChatWriter, Clock, Shown, TextWriter
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.cutting import chunk, cuts, raw, usage, written

STILL = Clock(lambda: 5, lambda: "now")
SHOWN = Shown("as asked")
CALLS = [
    {"tool_calls": [{"index": 0, "id": "call_0", "function": {"name": "weather", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"ci'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": 'ty":"Köln"}'}}]},
    {"tool_calls": [{"index": 1, "id": "call_1", "function": {"name": "clock", "arguments": ""}}]},
]
STREAM = raw(
    [
        chunk({"role": "assistant", "reasoning_content": "hm"}),
        chunk({"content": "grüß "}),
        chunk({"content": "dich\n\n"}),
        *(chunk(delta) for delta in CALLS),
        chunk({}, "tool_calls"),
        usage(7, 4),
    ]
)


def lines(writer: TextWriter, data: bytes) -> list[Any]:
    return [json.loads(line) for line in written(writer, [data]).splitlines()]


def test_a_chat_streams_its_words_then_its_calls_then_its_numbers() -> None:
    head = {"model": "as asked", "created_at": "now"}
    made = lines(ChatWriter(SHOWN, STILL), STREAM)
    assert [line["message"] for line in made] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "grüß "},
        {"role": "assistant", "content": "dich\n\n"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_0", "function": {"index": 0, "name": "weather", "arguments": {"city": "Köln"}}},
                {"id": "call_1", "function": {"index": 1, "name": "clock", "arguments": {}}},
            ],
        },
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in made] == [False] * 4 + [True]
    assert made[0] == {**head, "message": made[0]["message"], "done": False}
    assert made[-1] == {
        **head,
        "message": made[-1]["message"],
        "done": True,
        "done_reason": "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 7,
        "prompt_eval_duration": 0,
        "eval_count": 4,
        "eval_duration": 0,
    }


@given(st.data())
def test_any_cutting_makes_the_same_stream(data: st.DataObject) -> None:
    pieces = data.draw(cuts(STREAM))
    for kind in (ChatWriter, TextWriter):
        assert written(kind(SHOWN, STILL), pieces) == written(kind(SHOWN, STILL), [STREAM])


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_no_word_is_lost(words: list[str], data: st.DataObject) -> None:
    pieces = data.draw(cuts(raw([*(chunk({"content": word}) for word in words), chunk({}, "stop")])))
    made = [json.loads(line) for line in written(TextWriter(SHOWN, STILL), pieces).splitlines()]
    assert "".join(line["response"] for line in made) == "".join(words)
    assert [line["done"] for line in made] == [False] * len(words) + [True]


def test_what_is_thought_is_left_out_for_who_does_not_want_it() -> None:
    made = lines(ChatWriter(Shown("m", thinking=False), STILL), STREAM)
    assert not any("thinking" in line["message"] for line in made)


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")]
)
def test_why_it_ended(finish: str, reason: str) -> None:
    assert lines(ChatWriter(SHOWN, STILL), raw([chunk({}, finish)]))[-1]["done_reason"] == reason


def test_a_whole_answer_is_one_object() -> None:
    message = {
        "content": None,
        "reasoning": "hm",
        "tool_calls": [{"id": "c", "function": {"name": "a", "arguments": '{"x":1}'}}],
    }
    answer = {
        "choices": [{"message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    made = json.loads(ChatWriter(SHOWN, STILL).whole(json.dumps(answer).encode()))
    assert made["message"] == {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "tool_calls": [{"id": "c", "function": {"index": 0, "name": "a", "arguments": {"x": 1}}}],
    }
    assert (made["done"], made["prompt_eval_count"], made["eval_count"]) == (True, 1, 2)
    text = {"choices": [{"text": "so", "finish_reason": "length"}]}
    made = json.loads(TextWriter(SHOWN, STILL).whole(json.dumps(text).encode()))
    assert (made["response"], made["done_reason"]) == ("so", "length")


def test_log_probabilities_stay_with_their_words() -> None:
    told = [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    spoken = chunk({"content": "a"})
    spoken["choices"][0]["logprobs"] = {"content": told}
    assert lines(TextWriter(SHOWN, STILL), raw([spoken]))[0]["logprobs"] == told


@pytest.mark.parametrize("arguments", ["{", "[]", "words"])
def test_a_call_that_cannot_be_read_is_an_error_and_no_end(arguments: str) -> None:
    writer = ChatWriter(SHOWN, STILL)
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": arguments}}
    assert writer.feed(raw([chunk({"tool_calls": [call]}), chunk({}, "tool_calls")])) == b""
    with pytest.raises(UpstreamFailed, match="weather"):
        writer.end()


def test_a_call_that_the_limit_of_tokens_cut_off_is_left_out() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"ci'}}
    stream = raw([chunk({"tool_calls": [call]}), chunk({}, "length")])
    made = lines(ChatWriter(SHOWN, STILL), stream)
    assert len(made) == 1 and (made[0]["done"], made[0]["done_reason"]) == (True, "length")


@pytest.mark.parametrize("answer", [b"hello", b"{}", b'{"choices":[]}', b"[]"])
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ChatWriter(SHOWN, STILL).whole(answer)
    with pytest.raises(UpstreamFailed):
        EmbedWriter(SHOWN, STILL).whole(answer)


def test_a_stream_that_broke_ends_with_a_line_that_is_never_done() -> None:
    assert CHAT.event(UpstreamBroke("gone"), None) == b'{"error":"gone"}\n'


def test_vectors_come_in_the_order_of_their_texts() -> None:
    rows = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]
    made = json.loads(
        EmbedWriter(SHOWN, STILL).whole(json.dumps({"data": rows, "usage": {"prompt_tokens": 3}}).encode())
    )
    assert made == {
        "model": "as asked",
        "embeddings": [[1], [2]],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 3,
    }
