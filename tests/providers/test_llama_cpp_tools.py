"""Tools on the bundled chat model: calls are valid because the schema holds the model to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.inference import Verb
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.llama_cpp import LlamaCpp

from tests.providers.contract import Recorder, make_call, streamed, text_of, whole

pytest.importorskip("xllamacpp")
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.model]

MODEL = "SmolLM2-135M-Instruct"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"$ref": "#/$defs/City"}},
            "required": ["city"],
            "additionalProperties": False,
            "$defs": {"City": {"enum": ["Berlin", "Paris"]}},
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Sum of two integers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "maximum": 99}, "b": {"type": "integer", "maximum": 99}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}


async def started(**config: Any) -> LlamaCpp:
    settled = {"context_length": 512, "parallel": 2, "threads": 1, **config}
    made = LlamaCpp(ProviderOptions("local", "inline::llama-cpp", 256, settled))
    await made.start()
    return made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider() -> AsyncIterator[LlamaCpp]:
    made = await started()
    yield made
    await made.close()


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 60, **more}


async def choice_of(provider: LlamaCpp, body: dict[str, Any]) -> dict[str, Any]:
    answer, _ = await whole(provider, make_call(Verb.CHAT, MODEL, body))
    choice: dict[str, Any] = answer["choices"][0]
    return choice


@pytest.mark.long
async def test_a_required_call_is_made_and_valid(provider: LlamaCpp) -> None:
    choice = await choice_of(provider, user("How is Berlin today?", tools=[WEATHER], tool_choice="required"))
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["id"].startswith("call_")
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Berlin"}


@pytest.mark.long
async def test_a_named_tool_is_the_one_that_is_called(provider: LlamaCpp) -> None:
    named = {"type": "function", "function": {"name": "add"}}
    choice = await choice_of(provider, user("How is Berlin today?", tools=[WEATHER, ADD], tool_choice=named))
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "add"
    assert set(orjson.loads(call["function"]["arguments"])) == {"a", "b"}


@pytest.mark.long
async def test_a_streamed_call_names_the_function_first_and_adds_up_to_the_whole_one(provider: LlamaCpp) -> None:
    body = user("How is Berlin today?", tools=[WEATHER], tool_choice="required")
    [expected] = (await choice_of(provider, body))["message"]["tool_calls"]
    events, result = await streamed(provider, make_call(Verb.CHAT, MODEL, body, stream=True))
    deltas = [event["choices"][0]["delta"] for event in events]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert calls[0]["function"]["name"] == expected["function"]["name"]
    assert calls[0]["id"].startswith("call_")
    assert all(call["index"] == 0 for call in calls)
    assert not any("id" in call or "name" in call["function"] for call in calls[1:])
    assert "".join(call["function"]["arguments"] for call in calls) == expected["function"]["arguments"]
    assert events[-1]["choices"][0]["finish_reason"] == result.summary.finish_reason == "tool_calls"


async def test_tool_choice_none_gives_text_as_if_there_were_no_tools(provider: LlamaCpp) -> None:
    with_tools = await choice_of(provider, user("Hi", tools=[WEATHER], tool_choice="none", max_tokens=4, seed=1))
    without = await choice_of(provider, user("Hi", max_tokens=4, seed=1))
    assert with_tools["message"] == without["message"]


@pytest.mark.long
async def test_auto_calls_a_tool_that_shares_a_word_with_the_question(provider: LlamaCpp) -> None:
    choice = await choice_of(provider, user("What is the weather in Paris?", tools=[ADD, WEATHER]))
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    plain = await choice_of(provider, user("Who wrote Hamlet?", tools=[ADD, WEATHER], max_tokens=4))
    assert "tool_calls" not in plain["message"]


@pytest.mark.long
async def test_after_a_tool_s_result_comes_text(provider: LlamaCpp) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "It is sunny."},
    ]
    choice = await choice_of(provider, {"messages": messages, "tools": [WEATHER], "temperature": 0, "max_tokens": 30})
    assert choice["finish_reason"] in ("stop", "length")
    assert "sunny" in choice["message"]["content"]


@pytest.mark.long
async def test_a_model_that_decides_for_itself_may_answer_in_text_or_begin_a_call() -> None:
    provider = await started(auto_tools="model")
    try:
        plain = await choice_of(provider, user("Who wrote Hamlet?", tools=[WEATHER], max_tokens=4))
        assert "tool_calls" not in plain["message"]
        example = 'Repeat after me: {"name": "get_weather", "arguments": {"city": "Berlin"}}'
        called = await choice_of(provider, user(example, tools=[WEATHER]))
        assert called["finish_reason"] == "tool_calls"
        [call] = called["message"]["tool_calls"]
        assert orjson.loads(call["function"]["arguments"]) == {"city": "Berlin"}
    finally:
        await provider.close()


async def test_a_call_cut_by_max_tokens_says_length(provider: LlamaCpp) -> None:
    events, result = await streamed(
        provider,
        make_call(Verb.CHAT, MODEL, user("Hi", tools=[WEATHER], tool_choice="required", max_tokens=3), stream=True),
    )
    assert result.summary.finish_reason == "length"
    assert text_of(events) == ""


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "banana"}}}],
                "tool_choice": "required",
            },
            "tools",
        ),
    ],
)
async def test_wrong_tools_are_refused_by_name(provider: LlamaCpp, more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await provider.run(make_call(Verb.CHAT, MODEL, user("Hi", **more)), Recorder())
    assert caught.value.param == param
