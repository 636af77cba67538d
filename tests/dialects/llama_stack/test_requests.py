"""Requests of every generation, as the provider is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_gateway.dialects.llama_stack.chat import Chat
from caravan_gateway.dialects.llama_stack.embeddings import Embeddings
from caravan_gateway.dialects.llama_stack.generations import FIRST, THIRD
from caravan_gateway.dialects.llama_stack.text import Text

HELLO = [{"role": "user", "content": "hello"}]
PNG = "iVBORw0KGgoAAAA"
LINK = {"type": "image_url", "image_url": {"url": "https://a.org/b.png"}}
INLINE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def asked(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = Chat(THIRD).asked({"model_id": "m", "messages": HELLO, **fields})
    return made


def test_a_chat_is_openais_with_what_it_does_not_know_as_it_was() -> None:
    got = asked(safe_prompt=True, tool_prompt_format="json", top_logprobs=None)
    assert got == {"model": "m", "messages": HELLO, "safe_prompt": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"strategy": "greedy", "max_tokens": 0, "repetition_penalty": 1.0}, {"temperature": 0}),
        ({"strategy": "top_p", "temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"strategy": "top_k", "top_k": 40, "max_tokens": 5}, {"top_k": 40, "max_tokens": 5}),
        ({"strategy": {"type": "greedy"}, "stop": ["x"]}, {"temperature": 0, "stop": ["x"]}),
        ({"strategy": {"type": "top_p", "temperature": 0.7, "top_p": 0.9}}, {"temperature": 0.7, "top_p": 0.9}),
        (
            {"strategy": {"type": "top_k", "top_k": 40}, "repetition_penalty": 1.2},
            {"top_k": 40, "repetition_penalty": 1.2},
        ),
        ({}, {}),
    ],
)
def test_sampling_in_both_forms(given: dict[str, Any], expected: dict[str, Any]) -> None:
    got = asked(sampling_params=given)
    assert {name: value for name, value in got.items() if name not in ("model", "messages")} == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"image": {"uri": "https://a.org/b.png"}}, LINK),
        ({"image": "https://a.org/b.png"}, LINK),
        ({"type": "image", "url": {"uri": "https://a.org/b.png"}}, LINK),
        ({"type": "image", "data": PNG}, INLINE),
        ({"type": "image", "image": {"url": {"uri": "https://a.org/b.png"}}}, LINK),
        ({"type": "image", "image": {"data": PNG}}, INLINE),
        (LINK, LINK),
    ],
)
def test_images_of_every_generation(item: dict[str, Any], expected: dict[str, Any]) -> None:
    got = asked(messages=[{"role": "user", "content": ["what?", item]}])["messages"]
    assert got == [{"role": "user", "content": [{"type": "text", "text": "what?"}, expected]}]
    alone = asked(messages=[{"role": "user", "content": item}])["messages"]
    assert alone == [{"role": "user", "content": [expected]}]


def test_messages_of_every_role() -> None:
    call = {"call_id": "c1", "tool_name": "weather", "arguments": {"city": "Paris"}}
    text = {"type": "text", "text": "a"}
    got = asked(
        messages=[
            {"role": "system", "content": [text, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "q", "context": "found"},
            {"role": "assistant", "content": "", "stop_reason": "end_of_turn", "tool_calls": [call]},
            {"role": "ipython", "call_id": "c1", "tool_name": "weather", "content": [text]},
            {"role": "tool", "call_id": "c1", "content": "sunny"},
            {"role": "assistant", "content": "done", "stop_reason": "end_of_turn", "tool_calls": []},
        ]
    )["messages"]
    function = {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert got == [
        {"role": "system", "content": "a b"},
        {"role": "user", "content": "q\nfound"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "done"},
    ]


def test_tools_and_which_of_them() -> None:
    parameters = {
        "city": {"param_type": "str", "description": "where", "required": True},
        "days": {"param_type": "int", "required": False, "default": 1},
        "unit": {"param_type": "string | integer"},
        "odd": {"param_type": "Union[whatever]"},
    }
    tool = {"tool_name": "weather", "description": "of a city", "parameters": parameters}
    got = asked(tools=[tool, {"tool_name": "brave_search"}], tool_config={"tool_choice": "weather"}, tool_choice="auto")
    weather, search = (each["function"] for each in got["tools"])
    assert weather["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where"},
            "days": {"type": "integer", "default": 1},
            "unit": {"type": ["string", "integer"]},
            "odd": {},
        },
        "required": ["city", "unit", "odd"],
    }
    assert search["parameters"]["properties"] == {"query": {"type": "string"}}
    assert got["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert "tool_choice" not in asked(tool_choice="auto"), "a choice of no tools is refused by OpenAI"
    assert asked(tools=[tool], tool_choice="required")["tool_choice"] == "required"


def test_formats_log_probabilities_and_streams() -> None:
    schema = {"type": "object", "properties": {}}
    got = asked(response_format={"type": "json_schema", "json_schema": schema}, logprobs={"top_k": 2}, stream=True)
    assert got["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert (got["logprobs"], got["top_logprobs"]) == (True, 2)
    assert (got["stream"], got["stream_options"]) == (True, {"include_usage": True})
    assert "top_logprobs" not in asked(logprobs={})
    assert "stream" not in asked(stream=False)
    assert "stream_options" not in Chat(FIRST).asked({"model": "m", "messages": HELLO, "stream": True})


def test_texts_and_embeddings() -> None:
    text = Text(THIRD).asked({"model_id": "m", "content": "once", "logprobs": {"top_k": 3}, "stream": False})
    assert text == {"model": "m", "prompt": "once", "logprobs": 3}
    given = {"model_id": "m", "contents": ["a", {"type": "text", "text": "b"}], "output_dimension": 8}
    got = Embeddings(THIRD).asked({**given, "task_type": "query", "text_truncation": "end"})
    assert got == {"model": "m", "input": ["a", "b"], "dimensions": 8}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [7]}, "messages.0"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "system", "content": LINK}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [7]}]}, "messages.0.tool_calls.0"),
        ({"sampling_params": {"strategy": "beam"}}, "sampling_params.strategy"),
        ({"sampling_params": 7}, "sampling_params"),
        ({"tools": [{"description": "x"}]}, "tools.0.tool_name"),
        ({"tools": [{"tool_name": "x", "parameters": {"y": 7}}]}, "tools.0.parameters.y"),
        ({"response_format": {"type": "grammar", "bnf": {}}}, "response_format"),
        ({"logprobs": {"top_k": "x"}}, "logprobs.top_k"),
        ({"stream": "yes"}, "stream"),
        ({"model_id": 7}, "model_id"),
        ({"model_id": None}, "model_id"),
    ],
)
def test_refusals_name_the_field_in_llama_stacks_words(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param
    assert param in caught.value.message or "grammar" in caught.value.message


def test_a_body_that_is_no_json_object_is_refused() -> None:
    for body, kind in ((b"{", InvalidJSON), (json.dumps([]).encode(), InvalidRequest)):
        with pytest.raises(kind):
            Chat(FIRST).read(body, {}, {})
