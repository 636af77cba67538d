"""Interactions as responses, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_gateway.dialects.google.interactions.reading import response_of
from caravan_gateway.dialects.google.interactions.writing import EarlierWriter, InteractionWriter
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.cutting import cuts, written

CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Köln"}'}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "grüß dich"}]}
RESPONSE = {
    "id": "resp_1",
    "created_at": 0,
    "status": "completed",
    "model": "up/plain",
    "output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, MESSAGE, CALL],
    "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
}


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event, ensure_ascii=False).encode())
        for event in events
    )


def stream(last: dict[str, Any]) -> bytes:
    return sse(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "grüß "},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "dich"},
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
        {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"city":"Köln"}'},
        {"type": "response.output_item.done", "output_index": 2, "item": CALL},
        last,
    )


STREAM = stream({"type": "response.completed", "response": RESPONSE})


def events(data: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def test_a_request_is_one_for_a_response() -> None:
    config = {
        "temperature": 0.5,
        "max_output_tokens": 99,
        "thinking_level": "LOW",
        "thinking_summaries": "auto",
        "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["a"]}},
    }
    made = response_of(
        {
            "model": "models/up/plain",
            "input": "hello",
            "system_instruction": "be brief",
            "previous_interaction_id": "resp_0",
            "store": False,
            "stream": True,
            "tools": [{"type": "function", "name": "a", "parameters": {"type": "object"}}],
            "generation_config": config,
            "response_format": {"type": "text", "mime_type": "application/json", "schema": {"type": "object"}},
        }
    )
    assert made == {
        "model": "up/plain",
        "input": "hello",
        "instructions": "be brief",
        "previous_response_id": "resp_0",
        "store": False,
        "stream": True,
        "tools": [{"type": "function", "name": "a", "strict": False, "parameters": {"type": "object"}}],
        "temperature": 0.5,
        "max_output_tokens": 99,
        "reasoning": {"effort": "low", "summary": "auto"},
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}]},
        "text": {
            "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": False},
        },
    }


def test_input_is_contents_steps_or_turns() -> None:
    text, picture = {"type": "text", "text": "look"}, {"type": "image", "mime_type": "image/png", "data": "iVBO"}
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
    ]
    user = {"type": "message", "role": "user", "content": parts}
    assert response_of({"model": "m", "input": [text, picture]})["input"] == [user]
    call = {"type": "function_call", "id": "c1", "name": "a", "arguments": {"x": 1}}
    result = {"type": "function_result", "call_id": "c1", "result": {"y": 2}}
    steps = [
        {"type": "user_input", "content": [text, picture]},
        {"type": "thought"},
        {"type": "model_output", "content": [text]},
        call,
        result,
    ]
    wanted = [
        user,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "look"}]},
        {"type": "function_call", "call_id": "c1", "name": "a", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": '{"y":2}'},
    ]
    assert response_of({"model": "m", "input": steps})["input"] == wanted
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "model", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    assert response_of({"model": "m", "input": turns})["input"] == [
        {"type": "message", "role": "user", "content": "hi"},
        *wanted[2:],
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "a"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": [1]}, "input"),
        ({"model": "m", "input": [{"type": "video"}]}, "input[0]"),
        ({"model": "m", "input": [{"type": "user_input"}, {"type": "mcp_server_tool_call"}]}, "input[1].type"),
        ({"model": "m", "input": [{"role": "nobody", "content": "a"}]}, "input[0].role"),
        ({"model": "m", "input": "a", "tools": [{"type": "google_search"}]}, "tools[0]"),
        ({"model": "m", "input": "a", "generation_config": {"seed": "x"}}, "generation_config.seed"),
        ({"model": "m", "input": "a", "generation_config": {"tool_choice": "maybe"}}, "generation_config.tool_choice"),
        ({"model": "m", "input": "a", "response_format": {"type": "image"}}, "response_format"),
    ],
)
def test_refusals_name_the_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        response_of(body)
    assert refused.value.param == param


def test_a_stream_has_a_start_steps_and_an_end() -> None:
    data = written(InteractionWriter("as asked"), [STREAM])
    made = events(data)
    assert [event["event_type"] for event in made] == [
        "interaction.created",
        "step.start",
        "step.delta",
        "step.delta",
        "step.stop",
        "step.start",
        "step.delta",
        "step.stop",
        "interaction.completed",
    ]
    assert made[0]["interaction"]["status"] == "in_progress"
    assert made[2] == {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "grüß "}}
    step = {"type": "function_call", "id": "c1", "name": "weather", "arguments": {}}
    assert made[5] == {"event_type": "step.start", "index": 1, "step": step}
    assert made[6]["delta"] == {"type": "arguments_delta", "arguments": '{"city":"Köln"}'}
    assert made[-1]["interaction"]["status"] == "requires_action"
    assert data.endswith(b"event: done\ndata: [DONE]\n\n")


def test_earlier_clients_read_contents_and_calls_that_come_whole() -> None:
    made = events(written(EarlierWriter("as asked"), [STREAM]))
    call = {"type": "function_call", "id": "c1", "name": "weather", "arguments": {"city": "Köln"}}
    assert [event["event_type"] for event in made] == [
        "interaction.start",
        "content.start",
        "content.delta",
        "content.delta",
        "content.stop",
        "content.start",
        "content.delta",
        "content.stop",
        "interaction.complete",
    ]
    assert made[1]["content"] == {"type": "text", "text": ""}
    assert made[6] == {"event_type": "content.delta", "index": 1, "delta": call}


@given(st.data())
def test_any_cutting_makes_the_same_stream(data: st.DataObject) -> None:
    pieces = data.draw(cuts(STREAM))
    for kind in (InteractionWriter, EarlierWriter):
        assert written(kind("m"), pieces) == written(kind("m"), [STREAM])


def test_a_call_that_was_cut_off_has_no_arguments() -> None:
    cut = {**CALL, "arguments": '{"ci', "status": "incomplete"}
    response = {**RESPONSE, "status": "incomplete", "output": [cut]}
    made = json.loads(InteractionWriter("m").whole(json.dumps(response).encode()))
    assert (made["status"], made["steps"][0]["arguments"]) == ("incomplete", {})


def test_a_whole_answer() -> None:
    made = json.loads(InteractionWriter("as asked").whole(json.dumps(RESPONSE).encode()))
    call = {"type": "function_call", "id": "c1", "name": "weather", "arguments": {"city": "Köln"}}
    text = {"type": "text", "text": "grüß dich"}
    thought = {"type": "thought", "summary": [{"type": "text", "text": "hm"}]}
    assert made["steps"] == [thought, {"type": "model_output", "content": [text]}, call]
    assert made["outputs"] == [thought, text, call]
    assert (made["id"], made["model"], made["status"]) == ("resp_1", "as asked", "requires_action")
    assert made["created"] == "1970-01-01T00:00:00Z"
    assert made["usage"] == {
        "total_input_tokens": 7,
        "total_output_tokens": 5,
        "total_thought_tokens": 0,
        "total_cached_tokens": 0,
        "total_tokens": 12,
    }


@pytest.mark.parametrize(
    "last",
    [
        {"type": "response.failed", "response": {**RESPONSE, "status": "failed", "error": {"message": "the response"}}},
        {"type": "response.in_progress"},
    ],
)
def test_a_response_that_failed_has_no_good_end(last: dict[str, Any]) -> None:
    writer = InteractionWriter("m")
    assert b"interaction.completed" not in writer.feed(stream(last))
    with pytest.raises(UpstreamFailed, match="the response"):
        writer.end()
