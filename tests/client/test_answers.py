"""Answers as objects, and events out of pieces."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from caravan_client.sse import EventDecoder
from hypothesis import given
from hypothesis import strategies as st

from caravan.client import ChatCompletion, ChatCompletionMessage

ANSWER: dict[str, Any] = {
    "id": "c1",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi", "own": {"a": 1}}}
    ],
    "created": 1,
    "model": "m",
    "object": "chat.completion",
}


def test_fields_are_attributes_and_what_a_provider_adds_is_there_too() -> None:
    answer = ChatCompletion(ANSWER, "req_1")
    message = answer.choices[0].message
    assert isinstance(message, ChatCompletionMessage)
    assert (message.content, message.refusal, message.tool_calls, answer.usage) == ("Hi", None, None, None)
    own: Any = message
    assert own.own == {"a": 1}
    with pytest.raises(AttributeError, match="ChatCompletionMessage has no field 'contents'"):
        _ = own.contents
    assert answer._request_id == "req_1"
    assert repr(message) == "ChatCompletionMessage(role='assistant', content='Hi', own={'a': 1})"


def test_an_object_is_its_json_again() -> None:
    answer = ChatCompletion(ANSWER)
    _ = answer.choices[0].message.content, answer.usage
    assert answer.to_dict() == answer.model_dump() == json.loads(answer.to_json()) == ANSWER
    answer.choices[0].message.content = "Changed"
    assert answer.to_dict()["choices"][0]["message"]["content"] == "Changed"
    assert answer != ChatCompletion(ANSWER)
    for same in (pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):
        assert same == answer


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Zs"]), min_size=1), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
)
def test_events_are_read_however_they_are_cut(texts: list[str], end: str, step: int) -> None:
    events = [json.dumps({"text": text}) for text in texts]
    raw = "".join(f": comment{end}event: x{end}data: {event}{end}{end}" for event in events).encode()
    decoder = EventDecoder()
    made = [data for start in range(0, len(raw), step) for data in decoder.feed(raw[start : start + step])]
    assert [json.loads(data) for data in made] == [json.loads(event) for event in events]
    assert decoder.last() == []


def test_an_event_of_several_lines_is_one_and_a_last_one_needs_no_blank_line() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b'data: {"a":\ndata: 1}\n\ndata: [DONE]') == [b'{"a":\n1}']
    assert decoder.last() == [b"[DONE]"]
