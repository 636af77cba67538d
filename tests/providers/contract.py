"""What every provider must do, whatever is behind it.

Inherit `ProviderContract` in a test module, give it `model` and `verbs`, and a fixture `provider` that is started::

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    class TestMine(ProviderContract):
        model = "small"
        verbs = frozenset({Verb.CHAT})
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
import pytest
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import ClientGone, DeadlineExceeded
from caravan_contracts.inference import EVENT_STREAM, JSON_BODY, CallSpec, Usage, Verb
from caravan_inference.providers.base import Call, Provider, Result

SHOWN = "some/name-of-the-client"


class Recorder:
    """An Output that keeps what it gets; with `credit`, it is full after so many writes until `refill`."""

    def __init__(self, credit: int | None = None) -> None:
        self.writes: list[bytes] = []
        self.times: list[float] = []
        self.gone = False
        self._credit = credit
        self._room = asyncio.Event()

    def write(self, data: bytes) -> bool:
        assert self._credit is None or self._credit > 0, "written without credit"
        self.writes.append(data)
        self.times.append(time.perf_counter())
        if self._credit is not None:
            self._credit -= 1
        return self._credit is None or self._credit > 0

    async def room(self) -> None:
        while self._credit == 0 and not self.gone:
            self._room.clear()
            await self._room.wait()
        if self.gone:
            raise ClientGone("the test went away")

    def refill(self, credit: int) -> None:
        self._credit = credit
        self._room.set()

    def leave(self) -> None:
        self.gone = True
        self._room.set()

    def all(self, result: Result) -> bytes:
        return b"".join(self.writes) + result.tail


def make_call(
    verb: Verb,
    model: str,
    body: Mapping[str, Any] | bytes,
    *,
    stream: bool = False,
    include_usage: bool = False,
    seconds: float = 60.0,
) -> Call:
    """A call as a worker would hand it over."""
    raw = body if isinstance(body, bytes) else orjson.dumps({"model": SHOWN, "stream": stream, **body})
    context = RequestContext("test", deadline=time.monotonic() + seconds)
    return Call(verb, CallSpec("test", model, SHOWN, stream, include_usage), raw, context)


def read_events(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream; asserts that it holds whole events and no end mark."""
    assert data.endswith(b"\n\n")
    lines = [line for line in data.split(b"\n\n") if line and not line.startswith(b":")]
    assert all(line.startswith(b"data: ") for line in lines)
    assert b"data: [DONE]" not in lines, "the worker adds the end mark"
    return [orjson.loads(line[6:]) for line in lines]


def read_named_events(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream of Anthropic's; asserts that each is whole and has the name of its type."""
    assert data.endswith(b"\n\n")
    made = []
    for text in data.removesuffix(b"\n\n").split(b"\n\n"):
        name, _, line = text.partition(b"\n")
        made.append(orjson.loads(line.removeprefix(b"data: ")))
        assert name == b"event: " + made[-1]["type"].encode()
    return made


async def whole(provider: Provider, call: Call) -> tuple[dict[str, Any], Result]:
    """Run a call that does not stream."""
    out = Recorder()
    result = await provider.run(call, out)
    return orjson.loads(out.all(result)), result


async def streamed(provider: Provider, call: Call) -> tuple[list[dict[str, Any]], Result]:
    """Run a call that streams."""
    out = Recorder()
    result = await provider.run(call, out)
    return read_events(out.all(result)), result


def text_of(events: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice, put together."""
    made = ""
    for event in events:
        for choice in event["choices"]:
            if choice["index"] == index:
                made += choice.get("text") or choice.get("delta", {}).get("content") or ""
    return made


class ProviderContract:
    """See the module."""

    model: ClassVar[str]
    """The provider's own id of the model that serves every one of `verbs`."""
    verbs: ClassVar[frozenset[Verb]]
    chat: ClassVar[Mapping[str, Any]] = {
        "messages": [{"role": "user", "content": "Name three colours."}],
        "temperature": 0,
        "seed": 1,
        "max_tokens": 8,
    }
    completion: ClassVar[Mapping[str, Any]] = {"prompt": "One, two,", "temperature": 0, "seed": 1, "max_tokens": 5}
    message: ClassVar[Mapping[str, Any]] = {
        "messages": [{"role": "user", "content": "Name three colours."}],
        "max_tokens": 8,
    }
    rerank: ClassVar[Mapping[str, Any]] = {"query": "colours", "documents": ["red and blue", "a number", "three"]}

    def needs(self, verb: Verb) -> None:
        if verb not in self.verbs:
            pytest.skip(f"it does not serve {verb}")

    def any_call(self) -> tuple[Verb, Mapping[str, Any]]:
        verb = min(self.verbs)
        bodies = {
            Verb.CHAT: self.chat,
            Verb.COMPLETIONS: self.completion,
            Verb.EMBEDDINGS: {"input": "one"},
            Verb.RERANK: self.rerank,
            Verb.MESSAGES: self.message,
        }
        return verb, bodies[verb]

    async def test_it_is_a_provider(self, provider: Provider) -> None:
        assert isinstance(provider, Provider)
        assert provider.types
        assert all(name.startswith(("inline::", "remote::")) for name in provider.types)
        assert provider.options.type in provider.types

    async def test_it_lists_its_models(self, provider: Provider) -> None:
        first, second = await provider.models(), await provider.models()
        assert self.model in [model.id for model in first]
        assert first == second

    async def test_a_whole_chat_answer_has_openai_s_shape(self, provider: Provider) -> None:
        self.needs(Verb.CHAT)
        body, result = await whole(provider, make_call(Verb.CHAT, self.model, self.chat))
        assert body["object"] == "chat.completion"
        assert body["model"] == SHOWN
        choice = body["choices"][0]
        assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
        assert choice["finish_reason"] in ("stop", "length")
        summary = result.summary
        assert summary.content_type == JSON_BODY
        assert summary.response_id == body["id"]
        assert summary.finish_reason == choice["finish_reason"]
        assert summary.usage is not None
        assert summary.usage.prompt_tokens == body["usage"]["prompt_tokens"] > 0
        assert summary.usage.completion_tokens == body["usage"]["completion_tokens"] > 0

    async def test_a_streamed_chat_answer_has_openai_s_shape(self, provider: Provider) -> None:
        self.needs(Verb.CHAT)
        events, result = await streamed(provider, make_call(Verb.CHAT, self.model, self.chat, stream=True))
        assert {event["object"] for event in events} == {"chat.completion.chunk"}
        assert {event["model"] for event in events} == {SHOWN}
        assert {event["id"] for event in events} == {result.summary.response_id}
        assert events[0]["choices"][0]["delta"]["role"] == "assistant"
        ends = [choice["finish_reason"] for event in events for choice in event["choices"]]
        assert ends[-1] in ("stop", "length")
        assert not any(ends[:-1])
        assert result.summary.finish_reason == ends[-1]
        assert result.summary.content_type == EVENT_STREAM

    async def test_the_usage_event_comes_only_when_asked_for_but_usage_is_always_known(
        self, provider: Provider
    ) -> None:
        self.needs(Verb.CHAT)
        silent, without = await streamed(provider, make_call(Verb.CHAT, self.model, self.chat, stream=True))
        asked = {**self.chat, "stream_options": {"include_usage": True}}
        call = make_call(Verb.CHAT, self.model, asked, stream=True, include_usage=True)
        telling, with_usage = await streamed(provider, call)
        assert not any(event.get("usage") for event in silent)
        assert telling[-1]["choices"] == []
        told, known, also = telling[-1]["usage"], with_usage.summary.usage, without.summary.usage
        assert known is not None
        assert also is not None
        assert (known.prompt_tokens, known.completion_tokens) == (told["prompt_tokens"], told["completion_tokens"])
        assert also.completion_tokens == known.completion_tokens

    async def test_a_stream_says_what_the_whole_answer_says(self, provider: Provider) -> None:
        self.needs(Verb.CHAT)
        body, _ = await whole(provider, make_call(Verb.CHAT, self.model, self.chat))
        events, _ = await streamed(provider, make_call(Verb.CHAT, self.model, self.chat, stream=True))
        assert text_of(events) == body["choices"][0]["message"]["content"]

    async def test_completions_stream_what_the_whole_answer_says(self, provider: Provider) -> None:
        self.needs(Verb.COMPLETIONS)
        body, result = await whole(provider, make_call(Verb.COMPLETIONS, self.model, self.completion))
        events, _ = await streamed(provider, make_call(Verb.COMPLETIONS, self.model, self.completion, stream=True))
        assert (body["object"], body["model"]) == ("text_completion", SHOWN)
        assert text_of(events) == body["choices"][0]["text"] != ""
        assert result.summary.usage is not None

    async def test_embeddings_have_openai_s_shape(self, provider: Provider) -> None:
        self.needs(Verb.EMBEDDINGS)
        call = make_call(Verb.EMBEDDINGS, self.model, {"input": ["one", "two"]})
        body, result = await whole(provider, call)
        assert (body["object"], body["model"]) == ("list", SHOWN)
        assert [(row["object"], row["index"]) for row in body["data"]] == [("embedding", 0), ("embedding", 1)]
        assert result.summary.usage is not None
        assert result.summary.usage.prompt_tokens == body["usage"]["prompt_tokens"] > 0

    async def test_a_ranking_is_best_first_and_no_longer_than_asked(self, provider: Provider) -> None:
        self.needs(Verb.RERANK)
        body, result = await whole(provider, make_call(Verb.RERANK, self.model, {**self.rerank, "top_n": 2}))
        assert body["model"] == SHOWN
        scores = [row["relevance_score"] for row in body["results"]]
        assert scores == sorted(scores, reverse=True)
        assert len({row["index"] for row in body["results"]} & {0, 1, 2}) == len(scores) == 2
        assert result.summary.response_id == body["id"]
        assert result.summary.content_type == JSON_BODY

    async def test_a_whole_message_has_anthropic_s_shape(self, provider: Provider) -> None:
        self.needs(Verb.MESSAGES)
        body, result = await whole(provider, make_call(Verb.MESSAGES, self.model, self.message))
        assert (body["type"], body["role"], body["model"]) == ("message", "assistant", SHOWN)
        summary = result.summary
        assert (summary.content_type, summary.response_id) == (JSON_BODY, body["id"])
        assert summary.finish_reason == body["stop_reason"]
        assert summary.usage == Usage.from_anthropic(body["usage"])
        assert summary.usage is not None and summary.usage.prompt_tokens > 0 < summary.usage.completion_tokens

    async def test_a_streamed_message_begins_and_ends_as_anthropic_s(self, provider: Provider) -> None:
        self.needs(Verb.MESSAGES)
        body, known = await whole(provider, make_call(Verb.MESSAGES, self.model, self.message))
        out = Recorder()
        result = await provider.run(make_call(Verb.MESSAGES, self.model, self.message, stream=True), out)
        told = read_named_events(out.all(result))
        assert (told[0]["type"], told[0]["message"]["model"]) == ("message_start", SHOWN)
        assert [event["type"] for event in told[-2:]] == ["message_delta", "message_stop"]
        said = [event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta"]
        assert "".join(said) == "".join(block.get("text", "") for block in body["content"])
        summary = result.summary
        assert (summary.content_type, summary.finish_reason) == (EVENT_STREAM, body["stop_reason"])
        assert summary.response_id == told[0]["message"]["id"]
        assert summary.usage == known.summary.usage

    async def test_it_writes_nothing_without_credit(self, provider: Provider) -> None:
        self.needs(Verb.CHAT)
        out = Recorder(credit=1)
        task = asyncio.create_task(provider.run(make_call(Verb.CHAT, self.model, self.chat, stream=True), out))
        async with asyncio.timeout(30):
            while not task.done():
                await asyncio.wait([task], timeout=0.02)
                out.refill(1)
        assert read_events(out.all(task.result()))

    async def test_a_client_that_leaves_ends_the_call(self, provider: Provider) -> None:
        self.needs(Verb.CHAT)
        out = Recorder(credit=0)
        out.refill(1)
        long = {**self.chat, "max_tokens": 200}
        task = asyncio.create_task(provider.run(make_call(Verb.CHAT, self.model, long, stream=True), out))
        async with asyncio.timeout(30):
            while not out.writes and not task.done():
                await asyncio.wait([task], timeout=0.02)
        out.leave()
        if not task.done():
            with pytest.raises(ClientGone):
                await asyncio.wait_for(task, 30)

    async def test_a_call_whose_time_is_over_says_so(self, provider: Provider) -> None:
        verb, body = self.any_call()
        with pytest.raises(DeadlineExceeded):
            await whole(provider, make_call(verb, self.model, body, seconds=-1))

    async def test_it_serves_on_after_cancelled_calls(self, provider: Provider) -> None:
        verb, body = self.any_call()
        for _ in range(2 * min(provider.options.slots, 8)):
            task = asyncio.create_task(whole(provider, make_call(verb, self.model, body)))
            await asyncio.wait([task], timeout=0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        answer, _ = await asyncio.wait_for(whole(provider, make_call(verb, self.model, body)), 30)
        assert answer["model"] == SHOWN
