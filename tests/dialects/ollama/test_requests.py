"""Ollama's requests in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_contracts.inference import Verb
from caravan_gateway.dialects.base import Translation
from caravan_gateway.dialects.ollama.dialects import CHAT, EMBED, EMBEDDINGS, GENERATE, Ollama

HELLO = [{"role": "user", "content": "hello"}]
PNG = "iVBORw0KGgo="


def read(dialect: Ollama, **body: Any) -> Translation:
    return dialect.read(json.dumps({"model": "up/plain", **body}).encode(), {}, {})


def asked(dialect: Ollama, **body: Any) -> Any:
    return json.loads(read(dialect, **body).body)


def test_an_answer_streams_unless_the_client_says_no() -> None:
    assert read(CHAT, messages=HELLO).stream and read(GENERATE, prompt="hello").stream
    body = asked(CHAT, messages=HELLO)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert not read(CHAT, messages=HELLO, stream=False).stream
    assert "stream" not in asked(CHAT, messages=HELLO, stream=False)


def test_options_have_their_names_and_those_of_loading_are_passed_over() -> None:
    options = {
        "temperature": 0.5,
        "num_predict": 9,
        "stop": ["x"],
        "seed": 3,
        "top_k": 40,
        "num_ctx": 4096,
        "min_p": None,
    }
    body = asked(CHAT, messages=HELLO, options=options, keep_alive="5m", stream=False)
    assert body == {
        "model": "up/plain",
        "messages": HELLO,
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["x"],
        "seed": 3,
        "top_k": 40,
    }
    assert "max_tokens" not in asked(CHAT, messages=HELLO, options={"num_predict": -1})


def test_a_form_is_json_or_a_schema() -> None:
    assert asked(CHAT, messages=HELLO, format="json")["response_format"] == {"type": "json_object"}
    wanted = asked(CHAT, messages=HELLO, format={"type": "object"})["response_format"]
    assert wanted == {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    assert "response_format" not in asked(CHAT, messages=HELLO, format="")


@pytest.mark.parametrize(("think", "effort"), [(True, "medium"), ("low", "low"), (False, None), (None, None)])
def test_thinking(think: object, effort: str | None) -> None:
    assert asked(CHAT, messages=HELLO, think=think).get("reasoning_effort") == effort


def test_pictures_become_urls_that_say_what_they_are() -> None:
    content = asked(CHAT, messages=[{"role": "user", "content": "look", "images": [PNG, "/9j/4AAQ"]}])["messages"][0][
        "content"
    ]
    assert content[0] == {"type": "text", "text": "look"}
    urls = [part["image_url"]["url"] for part in content[1:]]
    assert urls == [f"data:image/png;base64,{PNG}", "data:image/jpeg;base64,/9j/4AAQ"]
    of_text = asked(GENERATE, prompt="", images=[PNG])["messages"][0]["content"]
    assert of_text == [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]


def test_results_find_their_calls_by_tool_and_by_order() -> None:
    calls = [{"function": {"name": name, "arguments": {"n": at}}} for at, name in enumerate(["a", "b", "a"])]
    results = [{"role": "tool", "tool_name": name, "content": name} for name in ["b", "a"]]
    messages = asked(
        CHAT, messages=[*HELLO, {"role": "assistant", "tool_calls": calls}, *results, {"role": "tool", "content": "?"}]
    )
    made = messages["messages"]
    ids = [call["id"] for call in made[1]["tool_calls"]]
    assert len(set(ids)) == 3
    assert [message["tool_call_id"] for message in made[2:]] == [ids[1], ids[0], ids[2]]
    assert made[1]["tool_calls"][1]["function"] == {"name": "b", "arguments": '{"n":1}'}


def test_a_result_that_names_its_call_is_that_call_s() -> None:
    call = {"id": "call_9", "function": {"name": "a", "arguments": {}}}
    made = asked(
        CHAT, messages=[*HELLO, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_9"}]
    )
    assert made["messages"][1]["tool_calls"][0]["id"] == made["messages"][2]["tool_call_id"] == "call_9"


def test_a_raw_prompt_and_a_gap_are_completions() -> None:
    plain, raw = (
        read(GENERATE, prompt="hello", system="be brief"),
        read(GENERATE, prompt="hello", raw=True, stream=False),
    )
    assert (plain.verb, raw.verb) == (Verb.CHAT, Verb.COMPLETIONS)
    assert [message["role"] for message in json.loads(plain.body)["messages"]] == ["system", "user"]
    assert json.loads(raw.body) == {"model": "up/plain", "prompt": "hello"}
    assert asked(GENERATE, prompt="def f():", suffix="return", stream=False)["suffix"] == "return"


@pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), (0, "unload"), ("5m", "load")])
def test_a_request_for_nothing_loads_the_model(keep_alive: object, reason: str) -> None:
    for dialect in (CHAT, GENERATE):
        made = read(dialect, messages=[], prompt="", keep_alive=keep_alive)
        assert made.answer is not None and not made.stream
        answer = json.loads(made.writer.whole(made.answer))
        assert (answer["done"], answer["done_reason"], answer["model"]) == (True, reason, "up/plain")


def test_embeddings_of_one_text_and_of_many() -> None:
    body = asked(EMBED, input=["a", "b"], truncate=True, dimensions=3)
    assert body == {"model": "up/plain", "input": ["a", "b"], "encoding_format": "float", "dimensions": 3}
    assert asked(EMBEDDINGS, prompt="a")["input"] == "a"
    nothing = read(EMBED, input=[])
    assert nothing.answer is not None and json.loads(nothing.writer.whole(nothing.answer))["embeddings"] == []
    old = read(EMBEDDINGS, prompt="")
    assert old.answer is not None and json.loads(old.writer.whole(old.answer)) == {"embedding": []}


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (CHAT, {"model": "", "messages": HELLO}, "model"),
        (CHAT, {"messages": "hello"}, "messages"),
        (CHAT, {"messages": [{"role": "nobody"}]}, "messages[0].role"),
        (CHAT, {"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        (CHAT, {"messages": [{"role": "user", "images": [1]}]}, "messages[0].images"),
        (CHAT, {"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0]"),
        (CHAT, {"messages": HELLO, "tools": [{}]}, "tools[0]"),
        (CHAT, {"messages": HELLO, "options": {"temperature": "hot"}}, "options.temperature"),
        (CHAT, {"messages": HELLO, "format": "xml"}, "format"),
        (CHAT, {"messages": HELLO, "think": "hard"}, "think"),
        (CHAT, {"messages": HELLO, "stream": 1}, "stream"),
        (GENERATE, {"prompt": 1}, "prompt"),
        (GENERATE, {"prompt": "a", "template": "{{ .Prompt }}"}, "template"),
        (GENERATE, {"prompt": "a", "raw": True, "images": [PNG]}, "images"),
        (EMBED, {}, "input"),
        (EMBED, {"input": [1]}, "input"),
        (EMBEDDINGS, {"prompt": []}, "prompt"),
    ],
)
def test_refusals_name_the_field(dialect: Ollama, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(dialect, **body)
    assert refused.value.param == param
    assert json.loads(dialect.error(refused.value, "req_1")) == {"error": refused.value.message}


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJSON):
        CHAT.read(body, {}, {})
