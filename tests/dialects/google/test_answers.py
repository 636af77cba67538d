"""OpenAI's answers in Google's words, however they are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import CaravanError, RateLimited, UpstreamBroke, UpstreamFailed
from caravan_gateway.dialects.google.dialects import STREAM, STREAM_ARRAY
from caravan_gateway.dialects.google.embedding import ManyWriter, OneWriter
from caravan_gateway.dialects.google.errors import object_of
from caravan_gateway.dialects.google.writing import ArrayWriter, ContentWriter
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.cutting import chunk, cuts, raw, usage, written

CALLS = [
    {"tool_calls": [{"index": 0, "id": "call_0", "function": {"name": "weather", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Köln"}'}}]},
    {"tool_calls": [{"index": 1, "id": "call_1", "function": {"name": "clock", "arguments": ""}}]},
]
STREAMED = raw(
    [
        chunk({"role": "assistant", "reasoning_content": "hm"}),
        chunk({"content": "grüß "}),
        chunk({"content": "dich\n\n"}),
        *(chunk(delta) for delta in CALLS),
        chunk({}, "tool_calls"),
        usage(7, 10, completion_tokens_details={"reasoning_tokens": 4}, prompt_tokens_details={"cached_tokens": 2}),
    ]
)


def events(data: bytes) -> list[Any]:
    return [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\n\n") if event]


def parts(answer: Any) -> Any:
    return answer["candidates"][0]["content"]["parts"]


def test_a_stream_says_its_words_then_its_calls_and_its_numbers() -> None:
    made = events(written(ContentWriter("as asked", thoughts=True), [STREAMED]))
    assert [parts(event) for event in made] == [
        [{"text": "hm", "thought": True}],
        [{"text": "grüß "}],
        [{"text": "dich\n\n"}],
        [
            {"functionCall": {"id": "call_0", "name": "weather", "args": {"city": "Köln"}}},
            {"functionCall": {"id": "call_1", "name": "clock", "args": {}}},
        ],
    ]
    assert [event["candidates"][0].get("finishReason") for event in made] == [None, None, None, "STOP"]
    assert made[-1]["usageMetadata"] == {
        "promptTokenCount": 7,
        "candidatesTokenCount": 6,
        "totalTokenCount": 17,
        "thoughtsTokenCount": 4,
        "cachedContentTokenCount": 2,
    }
    assert (made[0]["modelVersion"], made[0]["responseId"]) == ("as asked", "c")
    assert parts(events(written(ContentWriter("as asked"), [STREAMED]))[0]) == [{"text": "grüß "}]


@given(st.data())
def test_any_cutting_makes_the_same_stream(data: st.DataObject) -> None:
    pieces = data.draw(cuts(STREAMED))
    for kind in (ContentWriter, ArrayWriter):
        assert written(kind("m", thoughts=True), pieces) == written(kind("m", thoughts=True), [STREAMED])


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_no_word_is_lost_in_either_form(words: list[str], data: st.DataObject) -> None:
    pieces = data.draw(cuts(raw([*(chunk({"content": word}) for word in words), chunk({}, "length")])))
    streamed = events(written(ContentWriter("m"), pieces))
    array = json.loads(written(ArrayWriter("m"), pieces))
    assert array == streamed
    assert "".join(part["text"] for event in array for part in parts(event)) == "".join(words)
    assert array[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_several_candidates_stay_apart() -> None:
    spoken = []
    for at, word in [(0, "a"), (1, "b"), (0, "c")]:
        one = chunk({"content": word})
        one["choices"][0]["index"] = at
        spoken.append(one)
    last = chunk({}, "stop")
    last["choices"].append({"index": 1, "delta": {}, "finish_reason": "length"})
    made = events(written(ContentWriter("m"), [raw([*spoken, last])]))
    assert [[(row["index"], row["content"]["parts"][0]["text"]) for row in event["candidates"]] for event in made] == [
        [(0, "a")],
        [(1, "b")],
        [(0, "c")],
        [(0, ""), (1, "")],
    ]
    assert [row["finishReason"] for row in made[-1]["candidates"]] == ["STOP", "MAX_TOKENS"]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "STOP"),
        ("tool_calls", "STOP"),
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("odd", "OTHER"),
    ],
)
def test_why_it_ended(finish: str, reason: str) -> None:
    made = events(written(ContentWriter("m"), [raw([chunk({"content": "a"}), chunk({}, finish)])]))
    assert made[-1]["candidates"][0]["finishReason"] == reason


def test_an_answer_that_was_filtered_before_its_first_word_is_a_blocked_prompt() -> None:
    made = events(written(ContentWriter("m"), [raw([chunk({}, "content_filter")])]))
    assert made[-1]["promptFeedback"] == {"blockReason": "SAFETY"} and "candidates" not in made[-1]
    whole = {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}
    assert "candidates" not in json.loads(ContentWriter("m").whole(json.dumps(whole).encode()))


def test_a_whole_answer() -> None:
    call = {"id": "c", "function": {"name": "a", "arguments": '{"x":1}'}}
    message = {"content": "so", "reasoning": "hm", "tool_calls": [call]}
    answer = {
        "id": "r",
        "choices": [{"message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1},
    }
    made = json.loads(ContentWriter("m", thoughts=True).whole(json.dumps(answer).encode()))
    assert made == {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "hm", "thought": True},
                        {"text": "so"},
                        {"functionCall": {"id": "c", "name": "a", "args": {"x": 1}}},
                    ],
                },
                "index": 0,
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 0, "totalTokenCount": 1},
        "modelVersion": "m",
        "responseId": "r",
    }


def test_log_probabilities_stay_with_their_words() -> None:
    spoken = chunk({"content": "a"})
    top = [{"token": "b", "logprob": -1.5}]
    spoken["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": top}]}
    made = events(ContentWriter("m").feed(raw([spoken])))
    assert made[0]["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }


@pytest.mark.parametrize("arguments", ["{", "[]", "words"])
def test_a_call_that_cannot_be_read_is_an_error_and_no_end(arguments: str) -> None:
    writer = ContentWriter("m")
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": arguments}}
    assert writer.feed(raw([chunk({"tool_calls": [call]}), chunk({}, "tool_calls")])) == b""
    with pytest.raises(UpstreamFailed, match="weather"):
        writer.end()


def test_a_call_that_the_limit_of_tokens_cut_off_is_left_out() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"ci'}}
    stream = raw([chunk({"tool_calls": [call]}), chunk({}, "length")])
    made = events(written(ContentWriter("m"), [stream]))
    assert [row["finishReason"] for row in made[-1]["candidates"]] == ["MAX_TOKENS"]
    assert parts(made[-1]) == [{"text": ""}]


@pytest.mark.parametrize("answer", [b"hello", b"{}", b'{"choices":[]}', b"[]"])
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    for writer in (ContentWriter("m"), OneWriter(), ManyWriter()):
        with pytest.raises(UpstreamFailed):
            writer.whole(answer)


def test_a_stream_that_broke_ends_with_its_error_and_no_reason() -> None:
    spoken = raw([chunk({"content": "a"})])
    error = UpstreamBroke("gone")
    told = {"error": {"code": 502, "message": "gone", "status": "UNAVAILABLE"}}
    streamed, array = ContentWriter("m"), ArrayWriter("m")
    assert events(streamed.feed(spoken) + STREAM.event(error, streamed))[1:] == [told]
    assert json.loads(array.feed(spoken) + STREAM_ARRAY.event(error, array))[1:] == [told]
    assert json.loads(STREAM_ARRAY.event(error, ArrayWriter("m"))) == [told]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RateLimited("slow"), "RESOURCE_EXHAUSTED"),
        (CaravanError("oh"), "INTERNAL"),
        (UpstreamFailed("oh"), "UNAVAILABLE"),
    ],
)
def test_errors_have_google_s_names(error: CaravanError, status: str) -> None:
    assert object_of(error) == {"error": {"code": error.status, "message": error.message, "status": status}}


def test_vectors_come_in_the_order_of_their_texts() -> None:
    answer = json.dumps({"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}).encode()
    assert json.loads(ManyWriter().whole(answer)) == {"embeddings": [{"values": [1]}, {"values": [2]}]}
    assert json.loads(OneWriter().whole(answer)) == {"embedding": {"values": [1]}}
