"""Which requests are the same."""

from __future__ import annotations

import random

import pytest
from caravan_recorder.normalize import VOLATILE, differences, key_of, normalized
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(max_size=20)
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), min_size=1, max_size=4)
BODIES = st.fixed_dictionaries(
    {"model": TEXT, "messages": MESSAGES},
    optional={"temperature": st.floats(0, 2), "max_tokens": st.integers(1, 99), "stop": st.lists(TEXT, max_size=2)},
)


def key(body: dict[str, object], ignore: tuple[str, ...] = ()) -> str:
    return key_of(normalized("chat", "m", True, body, ignore))


@given(BODIES, st.randoms(use_true_random=False), st.dictionaries(st.sampled_from(sorted(VOLATILE)), TEXT))
def test_order_of_keys_nulls_and_volatile_fields_do_not_matter(
    body: dict[str, object], order: random.Random, volatile: dict[str, str]
) -> None:
    items = [*{**body, **volatile, "tools": None}.items()]
    order.shuffle(items)
    assert key(dict(items)) == key(body)


@given(BODIES, MESSAGES)
def test_other_messages_are_another_request(body: dict[str, object], messages: list[dict[str, str]]) -> None:
    assert (key(body) == key({**body, "messages": messages})) is (body["messages"] == messages)


@given(BODIES, BODIES)
def test_keys_differ_exactly_where_differences_are_found(one: dict[str, object], other: dict[str, object]) -> None:
    left, right = normalized("chat", "m", True, one), normalized("chat", "m", True, other)
    assert (key_of(left) == key_of(right)) is (not list(differences(left, right)))


def test_verb_model_and_stream_are_part_of_the_request() -> None:
    body = {"messages": []}
    keys = {
        key_of(normalized(*parts, body))  # type: ignore[arg-type]
        for parts in (("chat", "m", True), ("chat", "m", False), ("chat", "n", True), ("embeddings", "m", True))
    }
    assert len(keys) == 4


def test_whole_numbers_have_one_spelling_and_a_field_may_be_ignored() -> None:
    assert key({"temperature": 0}) == key({"temperature": 0.0})
    assert key({"seed": 1}) != key({"seed": 2})
    assert key({"seed": 1}, ("seed",)) == key({"seed": 2}, ("seed",))


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"messages": [{"role": "user", "content": "b"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user"}]}, "messages[1]"),
        ({"messages": [{"role": "user", "content": "a"}], "top_p": 1}, "top_p"),
    ],
)
def test_a_difference_is_told_as_a_path(other: dict[str, object], path: str) -> None:
    body = {"messages": [{"role": "user", "content": "a"}]}
    assert list(differences(normalized("chat", "m", True, body), normalized("chat", "m", True, other))) == [path]
