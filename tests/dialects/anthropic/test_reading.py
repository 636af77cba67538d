"""A request of the Messages API as a chat completion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_contracts.inference import Verb
from caravan_contracts.openai import read_request as read_chat
from caravan_gateway.dialects.anthropic.reading import read_request

from tests.dialects.anthropic.making import HELLO, WEATHER, chat, said

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}


def text(of: str) -> dict[str, Any]:
    return {"type": "text", "text": of, "cache_control": {"type": "ephemeral"}}


def test_the_simplest_request() -> None:
    assert chat() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_completion_tokens": 64,
    }


def test_all_that_may_be_said_of_the_answer() -> None:
    made = chat(
        temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], metadata={"user_id": "u1"}, stream=True,
        service_tier="standard_only", cache_control={"type": "ephemeral"}, context_management={"edits": []},
    )  # fmt: skip
    assert made == {
        **chat(),
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop": ["END"],
        "user": "u1",
        "service_tier": "default",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert read_chat(Verb.CHAT, json.dumps(made).encode()).include_usage


@pytest.mark.parametrize("system", ["Be brief.\nSpeak.", [text("Be brief."), text("Speak.")]])
def test_a_system_prompt_is_the_first_message(system: Any) -> None:
    assert chat(system=system)["messages"][0] == {"role": "system", "content": "Be brief.\nSpeak."}


def test_text_alone_is_a_string_which_every_provider_takes() -> None:
    assert said(text("one"), text("two")) == [{"role": "user", "content": "one\ntwo"}]
    assert said(text("one"), role="assistant") == [{"role": "assistant", "content": "one"}]
    assert said(text("now"), role="system") == [{"role": "system", "content": "now"}]


def test_what_one_side_says_in_several_messages_is_one() -> None:
    messages = [
        {"role": "system", "content": "Speak."},
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [{"type": "image", "source": PNG}]},
        {"role": "system", "content": "Be quick."},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "and?"},
        {"role": "system", "content": "Be quicker."},
    ]
    assert chat(system="Be brief.", messages=messages)["messages"] == [
        {"role": "system", "content": "Be brief.\nSpeak."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hello"}, IMAGE, {"type": "text", "text": "Be quick."}],
        },
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "and?\nBe quicker."},
    ]


def test_pictures() -> None:
    by_url = {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}
    [message] = said(text("what is this?"), {"type": "image", "source": PNG}, by_url)
    assert message["content"] == [
        {"type": "text", "text": "what is this?"},
        IMAGE,
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
    ]


def test_documents() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
    plain = {"type": "document", "title": "Rules", "source": {"type": "text", "media_type": "text/plain", "data": "1."}}
    parts = {"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}}
    found = {"type": "search_result", "title": "T", "source": "https://a.example", "content": [text("body")]}
    [message] = said(pdf, plain, parts, found)
    assert message["content"] == [
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "text", "text": "Rules\n1."},
        {"type": "text", "text": "a\nb"},
        {"type": "text", "text": "title: T\nsource: https://a.example\nbody"},
    ]


def test_calls_and_their_results() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    call = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}}
    assert said(thought, text("I look."), call, role="assistant") == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
            ],
        }
    ]
    assert said(call, role="assistant")[0]["content"] is None
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text("sunny"), text("21 degrees")]}
    failed = {"type": "tool_result", "tool_use_id": "t2", "content": "no such city", "is_error": True}
    assert said(result, failed, {"type": "tool_result", "tool_use_id": "t3"}, text("and now?")) == [
        {"role": "tool", "tool_call_id": "t1", "content": "sunny\n21 degrees"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no such city"},
        {"role": "tool", "tool_call_id": "t3", "content": ""},
        {"role": "user", "content": "and now?"},
    ]


def test_a_picture_that_a_tool_returns_is_in_the_next_message() -> None:
    shot = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": PNG}]}
    told, shown = said(shot)
    assert told["role"] == "tool" and "next message" in told["content"]
    assert shown == {"role": "user", "content": [IMAGE]}


def test_tools() -> None:
    made = chat(tools=[WEATHER, {"type": "bash_20250124", "name": "bash"}])
    assert made["tools"][0] == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": WEATHER["description"],
            "parameters": WEATHER["input_schema"],
        },
    }
    assert made["tools"][1]["function"]["name"] == "bash"
    assert "command" in made["tools"][1]["function"]["parameters"]["properties"]
    assert "tool_choice" not in made and "parallel_tool_calls" not in made


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_which_tool_is_called(choice: dict[str, Any], made: Any) -> None:
    assert chat(tools=[WEATHER], tool_choice=choice)["tool_choice"] == made
    one = chat(tools=[WEATHER], tool_choice={**choice, "disable_parallel_tool_use": True})
    assert one["parallel_tool_calls"] is False
    assert "tool_choice" not in chat(tool_choice=choice)


@pytest.mark.parametrize(
    ("given", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "xhigh"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_how_much_to_think(given: dict[str, Any], effort: str | None) -> None:
    assert chat(**given).get("reasoning_effort") == effort


@pytest.mark.parametrize("place", ["output_format", "output_config"])
def test_the_form_of_the_answer(place: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    made = chat(**{place: form if place == "output_format" else {"format": form}})
    assert made["response_format"]["json_schema"]["schema"] == {"type": "object"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": ["hello"]}, "messages.0"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages.0.content.0.type"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
        "messages.0.content.0.source.type",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages.0.content.0.tool_use_id"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "messages.0.content.0.id"),
    ({"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}, "messages.0.content.0"),
    ({"system": [{"type": "image", "source": PNG}]}, "system.0"),
    ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "often"}}, "thinking.type"),
    ({"output_config": {"effort": "some"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "yaml"}}}, "output_config.format"),
    ({"stop_sequences": [""]}, "stop_sequences"),
    ({"mcp_servers": [{"url": "https://a.example"}]}, "mcp_servers"),
    ({"stream": "yes"}, "stream"),
]


@pytest.mark.parametrize(("given", "param"), WRONG, ids=[str(param) for _, param in WRONG])
def test_what_is_wrong_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        chat(**given)
    assert raised.value.param == param
    assert raised.value.status == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(InvalidJSON):
        read_request(body)


def test_a_count_need_not_say_how_long_the_answer_may_be() -> None:
    body = json.dumps({**HELLO, "max_tokens": None}).encode()
    assert "max_completion_tokens" not in read_request(body, counts=True).chat
