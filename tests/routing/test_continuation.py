"""What a client reads of a stream that broke anywhere and went on elsewhere is what an unbroken one would have been."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Diverged, Splice
from caravan_contracts.inference import Summary, Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.routing.sse import DONE, chat, event, read, tool_call

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(places)]


def tokens(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:stop] for start, stop in pairwise(places)]


def go_on(before: bytes, after: bytes, cuts: list[int], replay: bool) -> bytes:
    splice = Splice(Delivered.read(before), replay)
    return before + b"".join(splice.feed(piece) for piece in pieces(after, cuts))


@settings(max_examples=300, deadline=None)
@given(
    text=TEXTS,
    first=st.lists(st.integers(0, 400), max_size=8),
    second=st.lists(st.integers(0, 400), max_size=8),
    cut=st.integers(0, 400),
    cuts=st.lists(st.integers(0, 5000), max_size=12),
)
def test_a_replay_that_says_the_same_is_the_unbroken_answer(
    text: str, first: list[int], second: list[int], cut: int, cuts: list[int]
) -> None:
    events = chat(tokens(text, first), finish=None)
    before = b"".join(events[: cut % (len(events) + 1)])
    again = b"".join(chat(tokens(text, second), "chatcmpl-2", "b/n", 22, usage=(5, 7))) + DONE
    got = read(go_on(before, again, cuts, replay=True))
    assert got.text == text
    assert len(got.ids) == len(got.created) == got.roles == got.done == 1
    assert got.ids == ({"chatcmpl-1"} if before else {"chatcmpl-2"})
    assert got.models[-1] == "b/n"
    assert got.finishes == ["stop"]
    assert got.usage == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, cut=st.integers(0, 60), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_a_prefilled_target_goes_on_where_the_text_ended(text: str, cut: int, cuts: list[int]) -> None:
    at = cut % (len(text) + 1)
    before = b"".join(chat(list(text[:at]), finish=None))
    rest = b"".join(chat([text[at:]], "chatcmpl-2", "b/n", 22, usage=(5 + at, len(text) - at))) + DONE
    got = read(go_on(before, rest, cuts, replay=False))
    assert got.text == text
    assert len(got.ids) == got.roles == got.done == 1
    assert got.usage == {"prompt_tokens": 5 + at, "completion_tokens": len(text), "total_tokens": 5 + at + len(text)}


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, other=TEXTS, cut=st.integers(1, 60), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_a_replay_that_says_something_else_shows_nothing_of_it(
    text: str, other: str, cut: int, cuts: list[int]
) -> None:
    delivered = text[: 1 + cut % len(text)]
    before = b"".join(chat(list(delivered), finish=None))
    again = b"".join(chat(list(other), "chatcmpl-2")) + DONE
    if other.startswith(delivered):
        assert read(go_on(before, again, cuts, replay=True)).text == other
        return
    splice = Splice(Delivered.read(before), replay=True)
    shown: list[bytes] = []
    with pytest.raises(Diverged):
        shown.extend(splice.feed(piece) for piece in pieces(again, cuts))
    assert not any(shown)


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_tool_call_is_replayed_with_the_id_that_the_client_has(cut: int) -> None:
    arguments = ['{"ci', 'ty":', '"Par', 'is"}']
    before = b"".join(tool_call(arguments, "call_1", finish=False)[:cut])
    again = b"".join(tool_call(["".join(arguments)], "call_2", "chatcmpl-2")) + DONE
    got = read(go_on(before, again, [7, 90, 200], replay=True))
    assert got.arguments == '{"city":"Paris"}'
    assert got.calls == ["call_1"]
    assert got.roles == got.done == 1 and got.finishes == ["tool_calls"]


def test_the_text_of_a_completion_is_replayed() -> None:
    def completion(texts: list[str], id: str) -> bytes:
        head = {"id": id, "object": "text_completion", "created": 1, "model": "m"}
        rows = [event({**head, "choices": [{"index": 0, "text": t, "finish_reason": None}]}) for t in texts]
        return b"".join(rows)

    end = event(
        {"id": "c2", "created": 2, "model": "m", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    )
    got = read(go_on(completion(["Hel", "lo"], "c1"), completion(["Hello wor", "ld"], "c2") + end + DONE, [], True))
    assert got.text == "Hello world" and got.ids == {"c1"} and got.finishes == ["stop"]


def test_two_choices_are_replayed_each_for_itself() -> None:
    def two(rows: list[tuple[int, str]], id: str) -> bytes:
        head = {"id": id, "created": 1, "model": "m"}
        return b"".join(
            event({**head, "choices": [{"index": i, "delta": {"content": text}, "finish_reason": None}]})
            for i, text in rows
        )

    before = two([(0, "one"), (1, "tw")], "c1")
    again = two([(1, "two"), (0, "one"), (0, " more"), (1, " too")], "c2")
    splice = Splice(Delivered.read(before), replay=True)
    after = [orjson.loads(part[6:]) for part in splice.feed(again).split(b"\n\n")[:-1]]
    said = [(row["choices"][0]["index"], row["choices"][0]["delta"]["content"]) for row in after]
    assert said == [(1, "o"), (0, " more"), (1, " too")]


def test_a_replay_that_ends_too_early_is_no_replay() -> None:
    before = b"".join(chat(["a", "b", "c"], finish=None))
    splice = Splice(Delivered.read(before), replay=True)
    with pytest.raises(Diverged):
        splice.feed(b"".join(chat(["a", "b"])) + DONE)


def test_what_cannot_be_gone_on_with_by_a_text_alone() -> None:
    assert Delivered.read(b"".join(chat(["Hi"], finish=None))).text() == "Hi"
    assert Delivered.read(b"".join(chat(["Hi"]))).text() is None, "it is finished"
    assert Delivered.read(b"".join(tool_call(["{"], "c", finish=False))).text() is None
    assert Delivered.read(b"".join(chat(["Hi"], finish=None))[:-9]).text() is None, "half an event"
    assert Delivered.read(b"data: {oops\n\n").text() is None
    thought = {"id": "c", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}
    assert Delivered.read(event(thought)).text() is None


def test_the_summary_adds_up() -> None:
    delivered = Delivered.read(b"".join(chat(["a", "b", "c"], finish=None)))
    told = Summary("chatcmpl-2", "n", "stop", Usage(8, 4))
    assert Splice(delivered, replay=False).summary(told) == Summary("chatcmpl-1", "n", "stop", Usage(8, 7))
    assert Splice(delivered, replay=True).summary(told) == Summary("chatcmpl-1", "n", "stop", Usage(8, 4))


def test_fields_that_nobody_knows_are_no_words() -> None:
    before = b"".join(chat(["a", "b"], finish=None))
    odd = {"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"vendor": "y", "content": "a"}}]}
    splice = Splice(Delivered.read(before), replay=True)
    assert splice.feed(event(odd)) == b""
    assert read(before + splice.feed(b"".join(chat(["bc"], "x", role=False)) + DONE)).text == "abc"
