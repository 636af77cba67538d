"""An upstream's stream on its way through: whatever the chunking, the client gets the same whole events."""

from __future__ import annotations

import json

import pytest
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.inference import Usage
from caravan_inference.body import ask_for_usage, first_string, last_object, rename_model
from caravan_inference.providers.openai_compatible.events import EventForwarder
from hypothesis import given
from hypothesis import strategies as st


def chunk(content: str | None = None, finish: str | None = None, spaces: bool = False, **more: object) -> str:
    delta = {} if content is None else {"content": content}
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "up-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return "data: " + json.dumps(data, separators=None if spaces else (",", ":"), ensure_ascii=False)


TOKENS = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}


def usage_chunk(spaces: bool) -> str:
    data = {"id": "chatcmpl-1", "model": "up-model", "choices": [], "usage": TOKENS}
    return "data: " + json.dumps(data, separators=None if spaces else (",", ":"))


def run(forwarder: EventForwarder, pieces: list[bytes]) -> bytes:
    got = []
    for piece in pieces:
        got.append(forwarder.feed(piece))
        if forwarder.done:
            break
    return b"".join(got)


def contents(stream: bytes) -> list[object]:
    return [json.loads(event[len("data: ") :]) for event in stream.decode().split("\n\n") if event.startswith("data: ")]


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=8),
    st.data(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_any_chunking_gives_the_same_events(
    words: list[str], data: st.DataObject, crlf: bool, spaces: bool, keep: bool
) -> None:
    events = [chunk(word, spaces=spaces) for word in words]
    events += [chunk(finish="stop", spaces=spaces), usage_chunk(spaces), "data: [DONE]"]
    line = "\r\n\r\n" if crlf else "\n\n"
    raw = "".join(event + line for event in events).encode()
    pieces = []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        pieces.append(raw[:size])
        raw = raw[size:]
    forwarder = EventForwarder("my/model", keep)
    got = contents(run(forwarder, pieces))
    texts = [e["choices"][0]["delta"]["content"] for e in got if e["choices"] and e["choices"][0]["delta"]]  # type: ignore[index]
    assert texts == words
    assert all(e["model"] == "my/model" for e in got)  # type: ignore[index]
    assert any("usage" in e for e in got) is keep  # type: ignore[operator]
    summary = forwarder.summary(1.0)
    assert (summary.finish_reason, summary.model, summary.usage) == ("stop", "up-model", Usage(3, 2, 1, 0))


def test_one_read_goes_on_in_one_piece() -> None:
    forwarder = EventForwarder("up-model", False)
    raw = "".join(chunk(str(i)) + "\n\n" for i in range(16)).encode()
    assert forwarder.feed(raw) is raw


def test_a_stream_without_done_but_with_a_finish_reason_is_whole() -> None:
    forwarder = EventForwarder("m", False)
    forwarder.feed((chunk("a") + "\n\n" + chunk(finish="length") + "\n\n").encode())
    assert forwarder.summary(0).finish_reason == "length"


def test_a_stream_without_either_is_broken() -> None:
    forwarder = EventForwarder("m", False)
    forwarder.feed((chunk("a") + "\n\n").encode())
    with pytest.raises(UpstreamBroke):
        forwarder.summary(0)


def test_a_last_event_without_its_blank_line_is_not_lost() -> None:
    forwarder = EventForwarder("up-model", False)
    forwarder.feed((chunk("a") + "\n\n" + chunk(finish="stop")).encode())
    assert contents(forwarder.rest())[0]["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert forwarder.summary(0).finish_reason == "stop"


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_in_the_stream_is_kept_and_what_came_before_it_delivered(status: int) -> None:
    forwarder = EventForwarder("m", False)
    before = (chunk("a") + "\n\n").encode()
    assert contents(forwarder.feed(before + b'data: {"error":{"message":"too much","code":%d}}\n\n' % status))
    assert forwarder.error is not None
    assert (forwarder.error.status, forwarder.error.message) == (status, "too much")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ('{"error":"out of memory"}', "out of memory"),
        ('{"error": {"message": "x"}}', "x"),
        ('{"object":"error","message":"bad","type":"BadRequestError","code":400}', "bad"),
        ('{"choices":[],"error":{"message":"at the end"}}', "at the end"),
    ],
)
def test_an_error_is_found_however_it_is_written(event: str, message: str) -> None:
    forwarder = EventForwarder("up-model", False)
    first = (chunk("a") + "\n\n").encode()
    assert forwarder.feed(first + b"data: " + event.encode() + b"\n\n") == first
    assert forwarder.error is not None and forwarder.error.message == message


def test_a_null_error_in_a_chunk_is_none() -> None:
    forwarder = EventForwarder("up-model", False)
    raw = (chunk("a", error=None) + "\n\n").encode()
    assert forwarder.feed(raw) == raw
    assert forwarder.error is None


def test_nothing_after_the_end_mark_is_passed_on() -> None:
    forwarder = EventForwarder("up-model", False)
    before = (chunk("a") + "\n\n" + chunk(finish="stop") + "\n\n").encode()
    assert forwarder.feed(before + b"data: [DONE]\n\n: bye\n\n" + chunk("b").encode() + b"\n\n") == before
    assert forwarder.done


def test_text_that_looks_like_the_end_is_text() -> None:
    forwarder = EventForwarder("up-model", False)
    raw = (chunk('data: [DONE]\n\n"finish_reason":"stop" "usage":{} {"error":1}') + "\n\n").encode()
    assert forwarder.feed(raw) == raw
    assert not forwarder.done
    with pytest.raises(UpstreamBroke):
        forwarder.summary(0)


_KEYS = st.text("abmodel", max_size=6)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _JSON, max_size=4), st.text(min_size=1, max_size=12), st.booleans())
def test_renaming_changes_the_model_and_nothing_else(rest: dict[str, object], model: str, ascii_only: bool) -> None:
    body = json.dumps({**rest, "model": model}, ensure_ascii=ascii_only)
    assert json.loads(rename_model(body.encode(), model, "new/model")) == {**rest, "model": "new/model"}


@given(st.dictionaries(_KEYS, _JSON, max_size=3), st.sampled_from([None, {}, {"a": 1}, {"include_usage": False}]))
def test_usage_is_asked_for_whatever_stands_there(rest: dict[str, object], options: dict[str, object] | None) -> None:
    body = {"model": "m", **rest} | ({} if options is None else {"stream_options": options})
    got = json.loads(ask_for_usage(json.dumps(body).encode()))
    assert got == {**body, "stream_options": {**(options or {}), "include_usage": True}}


def test_last_object_and_first_string_read_slices() -> None:
    body = b'{"usage":1,"a":"usage","usage" : {"x":{"y":2}} , "model": "q\\"x"}'
    assert last_object(body, b"usage") == {"x": {"y": 2}}
    assert first_string(body, b"model") == (b'"model": "q\\"x"', 'q"x')
    assert last_object(b'{"usage":"none"}', b"usage") is None


def broken(*events: str) -> tuple[bytes, EventForwarder]:
    forwarder = EventForwarder("up-model", True)
    return b"".join(forwarder.feed(event.encode() + b"\n\n") for event in events), forwarder


@pytest.mark.parametrize(
    "bad",
    [
        'data: {"id":"chatcmpl","choices":[{"delta":{"cont',
        'data: {"choices":[{"delta":{"content":"x"}}',
        "data: {not json}",
        "data: oops",
        "data: ",
        'event: x\ndata: {"a":',
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_an_event_that_is_no_json_is_left_out(bad: str, together: bool) -> None:
    good = [chunk("a"), chunk("b", finish="stop"), "data: [DONE]"]
    events = [good[0], bad, *good[1:]]
    got, forwarder = broken(*(["\n\n".join(events)] if together else events))
    kept = good[:2] if bad != "data: " else [good[0], bad, good[1]]
    assert got == "".join(event + "\n\n" for event in kept).encode()
    assert forwarder.done and forwarder.finish_reason == "stop"


@pytest.mark.parametrize(
    "odd",
    [
        ": ping",
        "event: x\n" + chunk("{"),
        chunk("}{{"),
        chunk('"\\'),
        "data:" + chunk("x")[6:],
        chunk("x", spaces=True),
    ],
)
def test_an_event_that_only_looks_odd_is_kept(odd: str) -> None:
    got, _ = broken(chunk("a"), odd, chunk("b"))
    assert got == f"{chunk('a')}\n\n{odd}\n\n{chunk('b')}\n\n".encode()


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("shown", ["up-model", "my/model"])
def test_the_middle_of_a_stream_costs_one_look_and_changes_nothing(spaces: bool, shown: str) -> None:
    forwarder = EventForwarder(shown, False)
    texts = ["{", "}", '"finish_reason":"stop"', "data: [DONE]\n\n", '"error"', "a"]
    for text in texts:
        raw = (chunk("x", spaces=spaces) + "\n\n" + chunk(text, spaces=spaces) + "\n\n").encode()
        assert [e["choices"][0]["delta"]["content"] for e in contents(forwarder.feed(raw))] == ["x", text]  # type: ignore[index]
        assert not forwarder.done and forwarder.error is None and not forwarder.finish_reason


def test_a_finish_in_the_middle_of_a_read_is_noticed_at_the_end() -> None:
    """With several choices one may finish while the others go on; the last event of a whole stream says it too."""
    forwarder = EventForwarder("up-model", False)
    forwarder.feed((chunk("a") + "\n\n").encode())
    forwarder.feed((chunk(finish="stop") + "\n\n" + chunk("b") + "\n\n").encode())
    forwarder.feed((chunk(finish="length") + "\n\n").encode())
    assert forwarder.summary(0).finish_reason == "length"


_ODD = ["", ": ping", 'data: {"id":"x","choi', 'data: {"choices":[{"delta":{"content":"x"}}', "event: x\ndata: {}"]


@given(st.lists(st.sampled_from(["w", '"}', "{", "\n\ndata: {", "é", *_ODD]), min_size=1, max_size=12), st.data())
def test_events_read_together_come_out_as_events_read_alone(words: list[str], data: st.DataObject) -> None:
    """Whatever stands between them: the short way through the middle of a stream gives what the long one gives."""
    shown = data.draw(st.sampled_from(["up-model", "my-model", "my/model"]))
    late = data.draw(st.booleans())  # a provider that names its model after the text
    events = [f"{w}\n\n".encode() if w in _ODD else (chunk(w) + "\n\n").encode() for w in words]
    if late:
        events = [
            e.replace(b'"model":"up-model",', b"").replace(b"null}]}", b'null}],"model":"up-model"}') for e in events
        ]
    events = [
        (chunk("first") + "\n\n").encode(),
        *events,
        (chunk(finish="stop") + "\n\n").encode(),
        b"data: [DONE]\n\n",
    ]
    alone, together = EventForwarder(shown, False), EventForwarder(shown, False)
    cut = data.draw(st.integers(0, len(events)))
    expected = b"".join(alone.feed(event) for event in events)
    got = together.feed(b"".join(events[:cut])) + together.feed(b"".join(events[cut:]))
    assert got == expected
    assert together.done and together.finish_reason == alone.finish_reason == "stop"
