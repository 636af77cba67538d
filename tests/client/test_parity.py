"""The same request by the official client over HTTP and by ours over the bus: the same objects, the same errors."""

from __future__ import annotations

import base64
import struct
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

import caravan.client
from caravan.client import APIError, APIStatusError, Caravan, Object
from tests.upstream.scripted import ScriptedUpstream

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
WEATHER: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
]


def same(ours: Any, theirs: Any) -> None:
    """Equal as JSON, and attribute by attribute, for every field that has come or that both declare."""
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(theirs, openai.BaseModel):
        assert isinstance(ours, Object), (ours, theirs)
        assert ours.to_dict() == theirs.to_dict()
        fields = set(theirs.to_dict()) | (type(theirs).model_fields.keys() & type(ours).__annotations__.keys())
        for name in fields:
            same(getattr(ours, name), getattr(theirs, name))
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "up/plain", "max_tokens": 3},
        {"model": "nickname", "n": 2, "temperature": 0.5, "seed": 7},
        {"model": "up/logprobs", "logprobs": True},
        {"model": "up/tools", "tools": WEATHER, "tool_choice": "required"},
        {"model": "up/plain", "extra_body": {"reasoning_effort": "low", "own": {"deep": [1]}}},
        {"model": "up/big-500"},
    ],
    ids=lambda asked: asked["model"],
)
async def test_chat(bus: Caravan, http: AsyncOpenAI, upstream: ScriptedUpstream, asked: dict[str, Any]) -> None:
    theirs = await http.chat.completions.create(messages=HELLO, **asked)
    ours = await bus.chat.completions.create(messages=HELLO, **asked)
    same(ours, theirs)
    assert ours._request_id is not None and ours._request_id.startswith("req_")
    assert upstream.requests[-1].body == upstream.requests[-2].body, "the provider was asked for the same"


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "up/plain", "max_tokens": 20},
        {"model": "up/plain", "stream_options": {"include_usage": True}},
        {"model": "up/crlf"},
        {"model": "up/split", "max_tokens": 300},
        {"model": "up/nodone"},
        {"model": "up/tools", "tools": WEATHER},
    ],
    ids=lambda asked: asked["model"],
)
async def test_a_stream(bus: Caravan, http: AsyncOpenAI, asked: dict[str, Any]) -> None:
    theirs = [chunk async for chunk in await http.chat.completions.create(messages=HELLO, stream=True, **asked)]
    ours = [chunk async for chunk in await bus.chat.completions.create(messages=HELLO, stream=True, **asked)]
    assert len(ours) > 1
    same(ours, theirs)


async def test_completions(bus: Caravan, http: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "up/plain", "prompt": "Once"}
    same(await bus.completions.create(**asked), await http.completions.create(**asked))
    theirs = [chunk async for chunk in await http.completions.create(stream=True, **asked)]
    same([chunk async for chunk in await bus.completions.create(stream=True, **asked)], theirs)


@pytest.mark.parametrize("format", [None, "float", "base64"])
async def test_embeddings(bus: Caravan, http: AsyncOpenAI, upstream: ScriptedUpstream, format: str | None) -> None:
    asked: dict[str, Any] = {"model": "text-embed", "input": ["a", "b"]}
    if format:
        asked["encoding_format"] = format
    theirs = await http.embeddings.create(**asked)
    same(await bus.embeddings.create(**asked), theirs)
    assert upstream.requests[-1].body == upstream.requests[-2].body


def test_packed_vectors_are_unpacked() -> None:
    packed = base64.b64encode(struct.pack("<3f", 0.5, -0.25, 1.0)).decode()
    from caravan_client.resources import floats

    assert floats(packed) == [0.5, -0.25, 1.0]


async def test_models(bus: Caravan, http: AsyncOpenAI) -> None:
    theirs = await http.models.list()
    ours = await bus.models.list()
    same(ours.data, theirs.data)
    assert [model.id async for model in bus.models.list()] == [model.id for model in theirs.data]
    same(await bus.models.retrieve("nickname"), await http.models.retrieve("nickname"))


async def test_rerank(bus: Caravan) -> None:
    answer = await bus.rerank(model="some-reranker", query="q", documents=["a", "a longer one"], top_n=1)
    assert [(row.index, row.relevance_score) for row in answer.results] == [(1, 0.12)]
    assert answer.results[0].document == {"text": "a longer one"}


async def outcome(call: Any) -> BaseException:
    """What it raises, also if only its stream does."""
    try:
        answer = await call
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass
    except (openai.APIError, APIError) as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "extra", "name"),
    [
        ("up/plain", {"temperature": "hot"}, "BadRequestError"),
        ("plane", {}, "NotFoundError"),
        ("text-embed", {}, "BadRequestError"),
        ("up/status-401", {}, None),
        ("up/status-403", {}, None),
        ("up/status-409", {}, None),
        ("up/status-422", {}, None),
        ("up/status-429", {}, "RateLimitError"),
        ("up/status-500", {}, "InternalServerError"),
        ("up/status-503", {}, "InternalServerError"),
        ("up/html-500", {}, "InternalServerError"),
        ("up/reset", {}, "InternalServerError"),
        ("up/half", {}, None),
    ],
)
async def test_errors(
    bus: Caravan, http: AsyncOpenAI, model: str, extra: dict[str, Any], name: str | None, stream: bool
) -> None:
    theirs = await outcome(http.chat.completions.create(model=model, messages=HELLO, stream=stream, **extra))
    ours = await outcome(bus.chat.completions.create(model=model, messages=HELLO, stream=stream, **extra))
    assert isinstance(theirs, openai.APIError) and isinstance(ours, APIError)
    assert type(ours).__name__ == type(theirs).__name__ == (name or type(theirs).__name__)
    assert str(ours) == str(theirs)
    assert (ours.message, ours.body, ours.code, ours.type, ours.param) == (
        theirs.message,
        theirs.body,
        theirs.code,
        theirs.type,
        theirs.param,
    )
    if isinstance(theirs, openai.APIStatusError):
        assert isinstance(ours, APIStatusError)
        assert ours.status_code == theirs.status_code
        assert ours.request_id is not None and ours.request_id.startswith("req_")
        after = theirs.response.headers.get("retry-after")
        assert ours.retry_after == (float(after) if after else None)


@pytest.mark.parametrize("model", ["up/cut-3", "up/inband-2", "up/nofinish"])
async def test_a_stream_that_breaks_raises_after_what_has_come(bus: Caravan, http: AsyncOpenAI, model: str) -> None:
    got: dict[str, tuple[list[str | None], str, Any]] = {}
    clients: dict[str, Any] = {"ours": bus, "theirs": http}
    for name, client in clients.items():
        texts: list[str | None] = []
        failure: Any = None
        try:
            async for chunk in await client.chat.completions.create(model=model, messages=HELLO, stream=True):
                texts.append(chunk.choices[0].delta.content)
        except (APIError, openai.APIError) as error:
            failure = error
        got[name] = (texts, type(failure).__name__, failure.body)
    assert got["ours"] == got["theirs"]
    assert got["ours"][1] == "APIError"


def test_the_errors_have_the_tree_of_the_official_client() -> None:
    names = [name for name in caravan.client.__all__ if name.endswith("Error") and hasattr(openai, name)]
    assert len(names) >= 12
    for name in names:
        theirs = [base.__name__ for base in getattr(openai, name).__mro__]
        ours = [base.__name__ for base in getattr(caravan.client, name).__mro__]
        assert [base for base in theirs if base in names] == [base for base in ours if base in names]


async def test_a_body_larger_than_a_message(bus: Caravan, upstream: ScriptedUpstream) -> None:
    image = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 12288).decode()  # 4 MB
    content = [{"type": "image_url", "image_url": {"url": image}}]
    answer = await bus.chat.completions.create(model="up/plain", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "w0 w1 w2 w3 "
    assert upstream.requests[-1].body["messages"][0]["content"] == content


async def test_an_answer_goes_back_into_the_next_request(bus: Caravan, upstream: ScriptedUpstream) -> None:
    first = await bus.chat.completions.create(model="up/tools", messages=HELLO)
    message = first.choices[0].message
    assert message.tool_calls is not None
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    await bus.chat.completions.create(model="up/plain", messages=(part for part in [*HELLO, message, result]))
    assert upstream.requests[-1].body["messages"] == [*HELLO, message.to_dict(), result]


async def test_who_traces_and_names_a_request_is_heard(bus: Caravan, upstream: ScriptedUpstream) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await bus.chat.completions.create(
        model="up/plain", messages=HELLO, extra_headers={"X-Request-Id": "mine-1", "traceparent": parent}
    )
    assert answer._request_id == "mine-1"
    sent = {name.lower(): value for name, value in upstream.requests[-1].headers.items()}
    assert sent["traceparent"].split("-")[1] == parent.split("-")[1]
