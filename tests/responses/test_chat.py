"""What is sent to the provider."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_agents.responses.chat import chat_body
from caravan_agents.responses.request import read_request
from caravan_agents.responses.tools import Offered
from caravan_contracts.inference import Verb
from caravan_contracts.openai import read_request as read_chat

WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
CLOCK = {"type": "function", "name": "clock"}
MCP = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.test/mcp"}
HOSTED = [
    Offered({"name": "docs__find", "parameters": {}}, "mcp", "find", "docs"),
    Offered({"name": "docs__wipe", "parameters": {}}, "mcp", "wipe", "docs"),
    Offered({"name": "web_search", "parameters": {}}, "web_search", "web_search"),
]


def body(hosted: Any = (), first: bool = True, **fields: Any) -> dict[str, Any]:
    request = read_request(orjson.dumps({"model": "m", "input": "Hi", **fields}))
    made = chat_body(request, [{"role": "user", "content": "Hi"}], hosted, first=first)
    facts = read_chat(Verb.CHAT, made)
    assert facts.stream and facts.include_usage and not facts.store
    parsed: dict[str, Any] = orjson.loads(made)
    return parsed


def names(made: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in made["tools"]]


def test_what_was_not_asked_for_is_not_sent() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_each_field_has_its_name_in_chat_completions() -> None:
    made = body(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "high", "format": {"type": "json_object"}},
        include=["message.output_text.logprobs"],
        top_logprobs=3,
        service_tier="flex",
        prompt_cache_key="k",
        safety_identifier="s",
        user="u",
        metadata={"a": "b"},
        store=True,
        background=True,
        truncation="auto",
        top_k=40,
    )
    del made["messages"], made["stream"], made["stream_options"]
    assert made == {
        "model": "m",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
        "verbosity": "high",
        "response_format": {"type": "json_object"},
        "logprobs": True,
        "top_logprobs": 3,
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "user": "u",
        "top_k": 40,
    }


def test_a_schema() -> None:
    given = {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True}
    made = body(text={"format": given})["response_format"]
    assert made == {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True},
    }


def test_functions_and_custom_tools() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}
    made = body(tools=[WEATHER, CLOCK, {"type": "custom", "name": "shout", "description": "d", "format": grammar}])
    weather, clock, shout = [tool["function"] for tool in made["tools"]]
    assert weather == {"name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert clock == {"name": "clock", "parameters": {"type": "object", "properties": {}}}
    assert list(shout["parameters"]["properties"]) == ["input"] and shout["parameters"]["required"] == ["input"]
    assert "[a-z]+" in shout["description"]
    assert "tool_choice" not in made and "parallel_tool_calls" not in made


CRM = {
    "type": "namespace",
    "name": "crm",
    "description": "Customers.",
    "tools": [
        {"type": "function", "name": "find", "description": "d", "strict": False, "parameters": {"type": "object"}},
        {"type": "custom", "name": "note"},
    ],
}


def test_the_tools_of_a_namespace_are_functions_whose_names_begin_with_its_own() -> None:
    find = {**WEATHER, "name": "find"}
    made = body(tools=[find, CRM])
    assert names(made) == ["find", "crm__find", "crm__note"]
    inner = made["tools"][1]["function"]
    text = "d\n\nOf crm: Customers."
    assert inner == {"name": "crm__find", "description": text, "parameters": {"type": "object"}, "strict": False}
    assert made["tools"][2]["function"]["description"] == "Of crm: Customers."
    assert list(made["tools"][2]["function"]["parameters"]["properties"]) == ["input"]
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "crm"}]}
    assert names(body(tools=[find, CRM], tool_choice=allowed)) == ["crm__find", "crm__note"]
    for namespace, name in (({}, "find"), ({"namespace": "crm"}, "crm__find")):
        chosen = body(tools=[find, CRM], tool_choice={"type": "function", "name": "find", **namespace})["tool_choice"]
        assert chosen == {"type": "function", "function": {"name": name}}


def test_parallel_calls_are_forbidden_when_there_are_tools() -> None:
    assert body(tools=[WEATHER], parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in body(parallel_tool_calls=False)


@pytest.mark.parametrize(
    ("choice", "sent", "tools"),
    [
        ("none", "none", 5),
        ("required", "required", 5),
        ({"type": "function", "name": "clock"}, {"type": "function", "function": {"name": "clock"}}, 5),
        ({"type": "mcp", "server_label": "docs", "name": "find"},
         {"type": "function", "function": {"name": "docs__find"}}, 5),
        ({"type": "mcp", "server_label": "docs"}, "required", ["docs__find", "docs__wipe"]),
        ({"type": "web_search_preview"}, {"type": "function", "function": {"name": "web_search"}}, 5),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "clock"}]}, None, ["clock"]),
        ({"type": "allowed_tools", "mode": "required",
          "tools": [{"type": "function", "name": "clock"}, {"type": "mcp", "server_label": "docs"}]},
         "required", ["clock", "docs__find", "docs__wipe"]),
    ],
)  # fmt: skip
def test_choices(choice: Any, sent: Any, tools: Any) -> None:
    made = body(HOSTED, tools=[WEATHER, CLOCK, MCP, {"type": "web_search"}], tool_choice=choice)
    assert made.get("tool_choice") == sent
    assert names(made) == tools if isinstance(tools, list) else len(made["tools"]) == tools


def test_what_must_be_used_is_forced_once() -> None:
    assert "tool_choice" not in body(tools=[WEATHER], tool_choice="required", first=False)
    assert body(tools=[WEATHER], tool_choice="none", first=False)["tool_choice"] == "none"
