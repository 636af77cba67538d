"""However a provider's stream is cut, and whatever its texts are, the events tell the same."""

from __future__ import annotations

import json
from typing import Any

import orjson
from caravan_agents.responses.string_argument import StringArgument
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.responses.chat import DONE, call, chunk, event, stream
from tests.responses.machine import follow
from tests.responses.writing import CUSTOM, FUNCTIONS, written

text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "\n\n", "\r\n", "\u2028", "\U0001f600", "data: x", '"content":"y"', " "]
)
said = st.fixed_dictionaries({"content": text})
thought = st.fixed_dictionaries({"reasoning_content": text})
refused = st.fixed_dictionaries({"refusal": text})
deltas = st.lists(said | said | thought | refused, max_size=12)


def encoded(delta: dict[str, Any], ascii_only: bool, spaces: bool) -> bytes:
    """As another JSON library writes it."""
    separators = (", ", ": ") if spaces else (",", ":")
    return b"data: " + json.dumps(chunk(delta), ensure_ascii=ascii_only, separators=separators).encode() + b"\n\n"


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@settings(deadline=None)
@given(st.data(), deltas)
def test_any_cutting_of_the_stream_gives_the_same_bytes(data: st.DataObject, deltas: list[dict[str, Any]]) -> None:
    whole = stream(*deltas)
    assert written(whole, pieces=data.draw(cut(whole)))[0] == written(whole)[0]


@settings(deadline=None)
@given(st.data(), deltas)
def test_line_ends_do_not_matter(data: st.DataObject, deltas: list[dict[str, Any]]) -> None:
    whole = stream(*deltas)
    carried = whole.replace(b"\n", b"\r\n")
    assert written(carried, pieces=data.draw(cut(carried)))[0] == written(whole)[0]


@settings(deadline=None)
@given(st.lists(text, min_size=1, max_size=12), st.booleans(), st.booleans())
def test_every_text_comes_through_however_it_was_encoded(words: list[str], ascii_only: bool, spaces: bool) -> None:
    data = b"".join(encoded({"content": word}, ascii_only, spaces) for word in words)
    machine = follow(written(data + event(chunk({}, "stop")) + DONE)[0])
    deltas = [e["delta"] for e in machine.events if e["type"] == "response.output_text.delta"]
    assert deltas == words
    assert machine.terminal is not None
    assert machine.terminal["output"][0]["content"][0]["text"] == "".join(words)


@settings(deadline=None)
@given(deltas)
def test_texts_of_each_kind_are_whole_and_in_order(deltas: list[dict[str, Any]]) -> None:
    machine = follow(written(stream(*deltas))[0])
    assert machine.terminal is not None
    for field, kind in (("content", "output_text"), ("reasoning_content", "reasoning_text"), ("refusal", "refusal")):
        parts = [
            part["refusal" if kind == "refusal" else "text"]
            for item in machine.terminal["output"]
            for part in item["content"]
            if part["type"] == kind
        ]
        assert "".join(parts) == "".join(delta.get(field, "") for delta in deltas)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[str]]:
    """Pieces of up to four calls in any order, and the arguments that they make."""
    whole = [json.dumps({"a": value}) for value in draw(st.lists(text, min_size=1, max_size=4))]
    left = [
        [call(index, "", id=f"call_{index}", name="weather")]
        + [call(index, arguments[at : at + 3]) for at in range(0, len(arguments), 3)]
        for index, arguments in enumerate(whole)
    ]
    pieces = []
    while any(left):
        pieces.append(draw(st.sampled_from([pending for pending in left if pending])).pop(0))
    return pieces, whole


@settings(deadline=None)
@given(st.data(), interleaved())
def test_calls_whose_pieces_come_in_any_order(
    data: st.DataObject, made: tuple[list[dict[str, Any]], list[str]]
) -> None:
    pieces, whole = made
    sent = stream(*pieces, finish="tool_calls")
    out, _turns = written(sent, pieces=data.draw(cut(sent)), tools=FUNCTIONS)
    machine = follow(out)
    assert machine.terminal is not None
    assert {item["call_id"]: item["arguments"] for item in machine.terminal["output"]} == {
        f"call_{index}": arguments for index, arguments in enumerate(whole)
    }


@settings(deadline=None)
@given(st.data(), text, st.booleans())
def test_the_input_of_a_custom_tool_comes_through(data: st.DataObject, given: str, ascii_only: bool) -> None:
    arguments = json.dumps({"input": given}, ensure_ascii=ascii_only)
    places = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=8)))
    words = [arguments[a:b] for a, b in zip([0, *places], [*places, len(arguments)], strict=True)]
    pieces = [call(0, "", id="c", name="shout"), *(call(0, word) for word in words)]
    machine = follow(written(stream(*pieces, finish="tool_calls"), tools=[CUSTOM])[0])
    assert machine.terminal is not None
    assert machine.terminal["output"][0]["input"] == given


@settings(deadline=None)
@given(st.lists(st.sampled_from(['{"input":"', "a", "\\", "u", "d83d", "\\ud83d", "\\ude00", '"', "}", "\n"])))
def test_arguments_that_are_no_such_object_break_nothing(pieces: list[str]) -> None:
    argument = StringArgument()
    given = [argument.feed(piece) for piece in pieces] + [argument.end()]
    assert "".join(given) == argument.text
    orjson.dumps(argument.text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["\\ud83d", "\\ude00", "x", "\\n"]), min_size=1, max_size=6))
def test_half_a_character_is_no_failure(words: list[str]) -> None:
    data = b"".join(encoded({"content": "@"}, True, False).replace(b"@", word.encode()) for word in words)
    machine = follow(written(data + event(chunk({}, "stop")))[0])
    assert machine.terminal is not None and machine.terminal["status"] == "completed"


@settings(deadline=None, max_examples=50)
@given(st.data(), st.binary(max_size=64))
def test_a_stream_of_anything_ends_in_order(data: st.DataObject, noise: bytes) -> None:
    sent = stream({"content": "Hello"}, {"content": " world"})
    at = data.draw(st.integers(0, len(sent)))
    follow(written(sent[:at] + noise + sent[at:], end="failed")[0])


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


def sometimes(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these fields, each of which may be anything as well."""
    return st.fixed_dictionaries({}, optional={name: value | anything for name, value in fields.items()})


logprob = sometimes(token=text, logprob=st.floats(-9, 0), top_logprobs=st.lists(sometimes(token=text)))
function = sometimes(name=st.sampled_from(["weather", "shout", "other"]), arguments=text)
piece = sometimes(index=st.integers(0, 2), id=text, function=function)
part = sometimes(text=text, thinking=text)
any_delta = sometimes(
    content=text | st.lists(part),
    reasoning=text,
    refusal=text,
    tool_calls=st.lists(piece, max_size=2),
    annotations=st.lists(
        sometimes(url_citation=sometimes(url=text, title=text, start_index=st.integers(-(2**63), 2**63 - 1)))
    ),
)
any_choice = sometimes(
    index=st.just(0),
    delta=any_delta,
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    logprobs=sometimes(content=st.lists(logprob, max_size=2)),
)
any_chunk = sometimes(
    choices=st.lists(any_choice, max_size=2),
    usage=sometimes(prompt_tokens=st.integers(0, 9), completion_tokens_details=st.just({})),
    service_tier=st.sampled_from(["default"]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(any_chunk, max_size=6))
def test_chunks_of_any_shape_make_events_of_the_right_one(sent: list[dict[str, Any]]) -> None:
    data = b"".join(b"data: " + orjson.dumps(one) + b"\n\n" for one in sent)
    tools = [*FUNCTIONS, CUSTOM]
    follow(written(data, end="failed", tools=tools, include=["message.output_text.logprobs"])[0])
