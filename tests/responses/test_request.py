"""What is read from a request's body, and which field is named when it is wrong."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from caravan_agents.responses.ids import new_id
from caravan_agents.responses.request import ResponseRequest, read_request
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from hypothesis import given, settings
from hypothesis import strategies as st

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
MCP = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.test/mcp"}
SCHEMA = {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True}


def read(**body: Any) -> ResponseRequest:
    return read_request(orjson.dumps({"model": "m", "input": "Hello", **body}))


def test_a_text_is_a_message_of_the_user() -> None:
    request = read()
    (item,) = request.input
    assert re.fullmatch("msg_[0-9a-f]{48}", item["id"])
    assert (item["role"], item["content"]) == ("user", [{"type": "input_text", "text": "Hello"}])
    assert request.store and not request.stream and not request.background


def test_every_field_is_read() -> None:
    body: dict[str, Any] = {
        "instructions": "Be brief",
        "previous_response_id": "resp_1",
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"name": "Ada"}},
        "store": True,
        "stream": True,
        "background": True,
        "include": ["message.output_text.logprobs", "web_search_call.action.sources"],
        "tools": [FUNCTION, MCP, {"type": "web_search"}, {"type": "custom", "name": "shout"}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 5,
        "text": {"format": SCHEMA, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "truncation": "auto",
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
        "metadata": {"a": "b"},
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "stream_options": {"include_obfuscation": True},
        "user": "u",
        "top_k": 40,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    request = read(**body)
    special = {"text", "include", "context_management", "stream_options", "tools", "top_k", "chat_template_kwargs"}
    for name in body.keys() - special:
        assert getattr(request, name) == body[name], name
    assert request.include == set(body["include"]) and request.logprobs and request.summary
    assert (request.text_format, request.verbosity) == (SCHEMA, "low")
    assert list(request.tools) == body["tools"] and list(request.context_management) == body["context_management"]
    assert request.obfuscation
    assert request.extra == {"top_k": 40, "chat_template_kwargs": {"enable_thinking": False}}


def test_null_is_the_same_as_nothing() -> None:
    names = ["instructions", "tools", "tool_choice", "text", "store", "metadata", "reasoning", "stream_options"]
    assert read(**dict.fromkeys(names), input=None, previous_response_id="r") == ResponseRequest(
        model="m", previous_response_id="r"
    )


@pytest.mark.parametrize("given", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_an_id_or_an_object(given: Any) -> None:
    assert read(conversation=given).conversation == "conv_1"


def test_a_prompt_may_bring_model_and_input() -> None:
    request = read_request(b'{"prompt": {"id": "pmpt_1"}}')
    assert request.model == "" and request.input == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"tools": [{"type": ["function"], "name": "a"}]}, "tools[0].type"),
        ({"tools": [FUNCTION], "tool_choice": {"type": {}}}, "tool_choice.type"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f", "namespace": "crm"}}, "tool_choice"),
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": "x", "id": 7}]}, "input[0].id"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 7}]}, "input[0].output"),
        (
            {"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "x"}]}]},
            "input[0].output[0].type",
        ),
        ({"input": [{"type": "mcp_list_tools", "server_label": "d", "tools": [{}]}]}, "input[0].tools[0].input_schema"),
        ({"input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}, "input[0].summary[0].text"),
        ({"input": [{"type": "computer_call_output"}]}, "input[0].type"),
        ({"instructions": 7}, "instructions"),
        ({"conversation": 7}, "conversation"),
        ({"conversation": {}}, "conversation.id"),
        ({"conversation": "c", "previous_response_id": "r"}, "previous_response_id"),
        ({"background": True, "store": False}, "background"),
        ({"prompt": {}}, "prompt.id"),
        ({"prompt": {"id": "p", "variables": {"a": 7}}}, "prompt.variables.a"),
        ({"store": "yes"}, "store"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation"),
        ({"include": ["everything"]}, "include[0]"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"truncation": "never"}, "truncation"),
        ({"context_management": [{"type": "magic"}]}, "context_management[0].type"),
        ({"context_management": [{"type": "compaction", "compact_threshold": 0}]},
         "context_management[0].compact_threshold"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"safety_identifier": "x" * 129}, "safety_identifier"),
        ({"service_tier": "best"}, "service_tier"),
        ({"text": "json"}, "text"),
        ({"text": {"verbosity": "endless"}}, "text.verbosity"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "a b", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": "{}"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "immense"}}, "reasoning.effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "teleport"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{**FUNCTION, "parameters": "{}"}]}, "tools[0].parameters"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1]"),
        ({"tools": [MCP, MCP]}, "tools[1]"),
        ({"tools": [{"type": "mcp", "server_label": "d"}]}, "tools[0].server_url"),
        ({"tools": [{"type": "mcp", "server_url": "https://d.test"}]}, "tools[0].server_label"),
        ({"tools": [{**MCP, "require_approval": "maybe"}]}, "tools[0].require_approval"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].vector_store_ids"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "weather"}}, "tool_choice"),
        ({"tool_choice": {"type": "function"}, "tools": [FUNCTION]}, "tool_choice.name"),
        ({"tool_choice": {"type": "mcp", "server_label": "other"}, "tools": [MCP]}, "tool_choice"),
        ({"tool_choice": {"type": "mcp"}, "tools": [MCP]}, "tool_choice.server_label"),
        ({"tool_choice": {"type": "web_search_preview"}, "tools": [FUNCTION]}, "tool_choice"),
        ({"tool_choice": {"type": "code_interpreter"}, "tools": [FUNCTION]}, "tool_choice.type"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "some", "tools": [{}]}}, "tool_choice.mode"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "x"}]},
          "tools": [FUNCTION]}, "tool_choice.tools[0]"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**body)
    assert caught.value.param == param
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "type",
    ["code_interpreter", "image_generation", "computer_use_preview", "computer_use", "local_shell", "shell",
     "apply_patch"],
)  # fmt: skip
def test_tools_that_are_not_served_are_named(type: str) -> None:
    with pytest.raises(InvalidRequest, match=type) as caught:
        read(tools=[FUNCTION, {"type": type}])
    assert (caught.value.param, caught.value.code) == ("tools[1].type", "unsupported_tool")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 10_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJSON):
        read_request(body)


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "name": "weather"},
        {"type": "mcp", "server_label": "docs"},
        {"type": "mcp", "server_label": "docs", "name": "find"},
        {"type": "web_search_preview"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    ],
)
def test_choices_of_tools_that_are_there(choice: dict[str, Any]) -> None:
    assert read(tools=[FUNCTION, MCP, {"type": "web_search"}], tool_choice=choice).tool_choice == choice


ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]},
    {"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
    {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "id": "msg_1"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]},
    {"type": "mcp_call", "server_label": "d", "name": "f", "arguments": "{}", "output": "x"},
    {"type": "mcp_list_tools", "server_label": "d", "tools": [{"name": "f", "input_schema": {}}]},
    {"type": "mcp_approval_request", "server_label": "d", "name": "f", "arguments": "{}"},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "web_search_call", "action": {"type": "search", "query": "x"}, "status": "completed"},
    {"type": "file_search_call", "id": "fs_1", "queries": ["x"], "status": "completed"},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.get("type", "message"))
def test_items_of_each_type_are_taken_and_have_ids(item: dict[str, Any]) -> None:
    (made,) = read(input=[item]).input
    assert made["type"] and made["id"]
    assert made.get("content") == item.get("content") and made.get("output") == item.get("output")


def test_ids_are_new_each_time() -> None:
    assert len({new_id("msg") for _ in range(100)}) == 100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([
    "model", "input", "instructions", "conversation", "prompt", "include", "tools", "tool_choice", "text", "reasoning",
    "context_management", "metadata", "stream_options", "temperature", "service_tier", "anything",
])  # fmt: skip
shaped = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function", "mcp", "allowed_tools", "reasoning", "custom"])},
    optional=dict.fromkeys(("name", "content", "role", "tools", "call_id", "summary", "mode", "format"), json_values),
)


@settings(deadline=None)
@given(st.dictionaries(fields, json_values | shaped | st.lists(shaped, max_size=2), max_size=5))
def test_any_body_is_read_or_refused_with_the_field(body: dict[str, Any]) -> None:
    refused: list[InvalidRequest] = []
    try:
        read(**body)
    except InvalidRequest as error:
        refused.append(error)
    assert all(error.param for error in refused)
