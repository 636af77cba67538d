"""Google's requests in OpenAI's words."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_gateway.dialects.base import Translation
from caravan_gateway.dialects.google.dialects import COUNT, EMBED, EMBED_MANY, GENERATE, STREAM, Google

HELLO = [{"role": "user", "parts": [{"text": "hello"}]}]
DECLARED = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]


def read(dialect: Google = GENERATE, **body: Any) -> Translation:
    return dialect.read(json.dumps(body).encode(), {"model": "up/plain"}, {})


def asked(dialect: Google = GENERATE, **body: Any) -> Any:
    return json.loads(read(dialect, **body).body)


def configured(**config: Any) -> Any:
    made = asked(contents=HELLO, generationConfig=config)
    return {name: value for name, value in made.items() if name not in ("model", "messages")}


def messages(*contents: Any) -> Any:
    return asked(contents=list(contents))["messages"]


def test_the_model_is_the_path_s_and_a_stream_counts_its_tokens() -> None:
    assert asked(contents=HELLO) == {"model": "up/plain", "messages": [{"role": "user", "content": "hello"}]}
    streamed = asked(STREAM, contents=HELLO)
    assert (streamed["stream"], streamed["stream_options"]) == (True, {"include_usage": True})
    assert read(STREAM, contents=HELLO).stream and not read(contents=HELLO).stream


def test_contents_may_be_short_and_named_in_either_way() -> None:
    instruction = {"parts": [{"text": "be"}, {"text": "brief"}]}
    for body in (
        {"contents": "hello", "systemInstruction": instruction},
        {"contents": {"parts": {"text": "hello"}}, "system_instruction": instruction},
    ):
        assert asked(**body)["messages"] == [
            {"role": "system", "content": "be\nbrief"},
            {"role": "user", "content": "hello"},
        ]


def test_pictures_sound_documents_and_texts() -> None:
    parts = [
        {"text": "look"},
        {"inlineData": {"mimeType": "image/webp", "data": "UklG"}},
        {"inline_data": {"mime_type": "audio/wav", "data": "UklG"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"inlineData": {"mimeType": "text/csv", "data": b64encode(b"a,b").decode()}},
        {"fileData": {"fileUri": "https://a.example/b.png", "mimeType": "image/png"}},
    ]
    assert messages({"role": "user", "parts": parts})[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklG"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "text", "text": "a,b"},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
    ]


def test_calls_and_results_find_each_other_and_thoughts_are_not_told_again() -> None:
    calls = [{"functionCall": {"name": name, "args": {"n": at}}} for at, name in enumerate(["a", "b"])]
    spoken = [{"text": "hm", "thought": True}, {"text": "so"}, *calls]
    results = [
        {"functionResponse": {"name": "b", "response": {"result": "two"}}},
        {"functionResponse": {"name": "a", "response": {"x": 1}}},
        {"text": "and?"},
    ]
    made = messages(*HELLO, {"role": "model", "parts": spoken}, {"role": "user", "parts": results})
    ids = [call["id"] for call in made[1]["tool_calls"]]
    assert made[1]["content"] == "so"
    assert [call["function"]["arguments"] for call in made[1]["tool_calls"]] == ['{"n":0}', '{"n":1}']
    assert made[2:] == [
        {"role": "tool", "tool_call_id": ids[1], "content": "two"},
        {"role": "tool", "tool_call_id": ids[0], "content": '{"x":1}'},
        {"role": "user", "content": "and?"},
    ]


def test_ids_that_the_client_wrote_are_kept() -> None:
    call = {"functionCall": {"id": "f1", "name": "a"}}
    result = {"functionResponse": {"id": "f1", "name": "a", "response": {}}}
    made = messages(*HELLO, {"role": "model", "parts": [call]}, {"role": "function", "parts": [result]})
    assert made[1]["tool_calls"][0]["id"] == made[2]["tool_call_id"] == "f1"


def test_options_have_openai_s_names() -> None:
    config = {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "candidateCount": 2,
        "seed": 3,
        "presencePenalty": 0.1,
        "frequency_penalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 2,
        "responseModalities": ["TEXT"],
    }
    assert configured(**config) == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_completion_tokens": 9,
        "stop": ["x"],
        "n": 2,
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
    }


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"thinkingLevel": "HIGH"}, "high"),
        ({"thinkingBudget": 512}, "low"),
        ({"thinking_budget": 8192}, "medium"),
        ({"thinkingBudget": 9000}, "high"),
        ({"thinkingBudget": -1}, None),
        ({"thinkingBudget": 0}, None),
        ({"includeThoughts": True}, None),
    ],
)
def test_thinking(thinking: dict[str, Any], effort: str | None) -> None:
    assert configured(thinkingConfig=thinking).get("reasoning_effort") == effort


def test_a_schema_of_google_s_is_a_json_schema() -> None:
    own = {
        "type": "OBJECT",
        "properties": {
            "any_of": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "2"},
            "either": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": True},
        },
        "required": ["list"],
        "propertyOrdering": ["list"],
    }
    made = configured(responseMimeType="application/json", responseSchema=own)["response_format"]["json_schema"]
    assert made == {
        "name": "answer",
        "schema": {
            "type": "object",
            "properties": {
                "any_of": {"type": ["string", "null"], "enum": ["a"]},
                "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
                "either": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]},
            },
            "required": ["list"],
        },
    }
    plain = {"type": "object", "properties": {"a_b": {"type": "string"}}}
    made = configured(responseMimeType="application/json", responseJsonSchema=plain)["response_format"]
    assert made["json_schema"]["schema"] == plain
    assert configured(responseMimeType="application/json") == {"response_format": {"type": "json_object"}}
    assert configured(responseMimeType="text/plain") == {}


def test_functions_are_tools() -> None:
    declared = {"name": "a", "description": "does", "parameters": {"type": "OBJECT"}}
    plain = {"name": "b", "parametersJsonSchema": {"type": "object"}}
    made = asked(contents=HELLO, tools=[{"function_declarations": [declared, plain]}])
    assert [tool["function"] for tool in made["tools"]] == [
        {"name": "a", "description": "does", "parameters": {"type": "object"}},
        {"name": "b", "parameters": {"type": "object"}},
    ]


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({}, None, ["a", "b"]),
        ({"mode": "AUTO"}, "auto", ["a", "b"]),
        ({"mode": "ANY"}, "required", ["a", "b"]),
        ({"mode": "NONE"}, "none", ["a", "b"]),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, "required", ["b"]),
    ],
)
def test_which_function_is_called(calling: dict[str, Any], choice: str | None, names: list[str]) -> None:
    made = asked(contents=HELLO, tools=DECLARED, toolConfig={"functionCallingConfig": calling})
    assert made.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in made["tools"]] == names


def test_safety_settings_are_taken_and_passed_over() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert asked(contents=HELLO, safetySettings=settings) == asked(contents=HELLO)


def test_what_is_counted_is_a_request_or_its_contents() -> None:
    inner = {"contents": HELLO, "tools": DECLARED}
    assert asked(COUNT, contents=HELLO) == asked(contents=HELLO)
    assert asked(COUNT, generateContentRequest=inner) == asked(**inner)


def test_embeddings_of_one_text_and_of_many() -> None:
    content = {"parts": [{"text": "a"}]}
    body = asked(EMBED, content=content, taskType="RETRIEVAL_QUERY", outputDimensionality=3)
    assert body == {"model": "up/plain", "input": ["a"], "encoding_format": "float", "dimensions": 3}
    many = asked(EMBED_MANY, requests=[{"model": "models/x", "content": content}, {"content": "b"}])
    assert many == {"model": "up/plain", "input": ["a", "b"], "encoding_format": "float"}


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (GENERATE, {}, "contents"),
        (GENERATE, {"contents": [1]}, "contents[0]"),
        (GENERATE, {"contents": [{"role": "nobody", "parts": []}]}, "contents[0].role"),
        (GENERATE, {"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        (GENERATE, {"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        (GENERATE, {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4"}}]}]}, None),
        (GENERATE, {"contents": [{"parts": [{"fileData": {"fileUri": "gs://a/b"}}]}]}, None),
        (GENERATE, {"contents": [{"role": "model", "parts": [{"functionCall": {}}]}]}, None),
        (GENERATE, {"contents": HELLO, "generationConfig": {"topP": "all"}}, "generationConfig.topP"),
        (GENERATE, {"contents": HELLO, "generationConfig": {"responseModalities": ["IMAGE"]}}, None),
        (GENERATE, {"contents": HELLO, "generationConfig": {"responseMimeType": "text/x.enum"}}, None),
        (GENERATE, {"contents": HELLO, "tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        (GENERATE, {"contents": HELLO, "tools": [{"functionDeclarations": [{}]}]}, None),
        (GENERATE, {"contents": HELLO, "cachedContent": "cachedContents/1"}, "cachedContent"),
        (COUNT, {}, "contents"),
        (EMBED, {}, "content"),
        (EMBED, {"content": {"parts": [{"inlineData": {}}]}}, "content"),
        (EMBED_MANY, {}, "requests"),
        (EMBED_MANY, {"requests": [{"content": "a", "outputDimensionality": 1}, {"content": "b"}]}, "requests"),
    ],
)
def test_refusals_name_the_field(dialect: Google, body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(dialect, **body)
    assert refused.value.param and param in (None, refused.value.param)
    told = json.loads(dialect.error(refused.value, "req_1"))["error"]
    assert (told["code"], told["status"], told["message"]) == (400, "INVALID_ARGUMENT", refused.value.message)
    assert told["details"][0]["fieldViolations"][0]["field"] == refused.value.param


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(80):
        schema = {"type": "ARRAY", "items": schema}
    with pytest.raises(InvalidRequest, match="64"):
        configured(responseMimeType="application/json", responseSchema=schema)


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJSON):
        GENERATE.read(body, {"model": "up/plain"}, {})
