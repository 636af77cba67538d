"""When two requests are the same: by what they say."""

from __future__ import annotations

import json
import random
from typing import Any

from caravan_contracts.inference import Verb
from caravan_gateway.fingerprint import of_answer, of_body
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
WHO = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
REQUEST = st.dictionaries(st.text(max_size=6).filter(lambda name: name not in (*WHO, "stream", "store")), JSON)


def shuffled(value: Any, seed: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        seed.shuffle(names)
        return {name: shuffled(value[name], seed) for name in names}
    return [shuffled(part, seed) for part in value] if isinstance(value, list) else value


def rewritten(value: Any, seed: random.Random) -> bytes:
    """The same, written in another way."""
    spaces = seed.choice([None, 0, 3])
    return json.dumps(shuffled(value, seed), indent=spaces, ensure_ascii=seed.random() < 0.5).encode()


@given(REQUEST, st.randoms(use_true_random=False))
def test_how_it_is_written_does_not_matter(request: dict[str, Any], seed: random.Random) -> None:
    one, other = rewritten(request, seed), rewritten(request, seed)
    assert of_body(Verb.CHAT, one) == of_body(Verb.CHAT, other)
    assert of_answer(Verb.CHAT, one, "t") == of_answer(Verb.CHAT, other, "t")


@given(REQUEST, REQUEST)
def test_what_it_says_does(one: dict[str, Any], other: dict[str, Any]) -> None:
    told = (json.dumps(one, sort_keys=True), json.dumps(other, sort_keys=True))
    same = of_body(Verb.CHAT, told[0].encode()) == of_body(Verb.CHAT, told[1].encode())
    assert same is (told[0] == told[1])


@given(REQUEST, st.text(max_size=6), JSON)
def test_each_field_counts(request: dict[str, Any], name: str, value: Any) -> None:
    body = json.dumps({k: v for k, v in request.items() if k != name}).encode()
    more = json.dumps({**request, name: value}).encode()
    assert of_body(Verb.CHAT, body) != of_body(Verb.CHAT, more)


@given(REQUEST, st.sampled_from(WHO), st.text(max_size=9), st.sampled_from([{}, {"stream": False}, {"store": None}]))
def test_who_asks_does_not_change_an_answer(
    request: dict[str, Any], name: str, who: str, nothing: dict[str, Any]
) -> None:
    body, by = json.dumps(request).encode(), json.dumps({**request, name: who, **nothing}).encode()
    assert of_answer(Verb.CHAT, body, "t") == of_answer(Verb.CHAT, by, "t")
    assert of_body(Verb.CHAT, body) != of_body(Verb.CHAT, by)


def test_what_else_counts() -> None:
    body = b'{"model":"m","input":"x"}'
    assert len({of_body(verb, body) for verb in Verb}) == len(list(Verb))
    assert of_body(Verb.CHAT, body) != of_body(Verb.CHAT, body, {"up_api_key": "k"})
    assert len({of_body(Verb.MESSAGES, body, read_as=each) for each in [(), ("2024-01-01", ""), ("", "beta")]}) == 3
    assert of_body(Verb.CHAT, body, {"a": "1", "b": "2"}) == of_body(Verb.CHAT, body, {"b": "2", "a": "1"})
    assert of_answer(Verb.CHAT, body, "one") != of_answer(Verb.CHAT, body, "other")
    assert of_answer(Verb.CHAT, b'{"stream":true}', "t") != of_answer(Verb.CHAT, b"{}", "t")


def test_a_body_that_is_nested_deeper_than_can_be_written() -> None:
    deep = b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"
    assert of_body(Verb.CHAT, deep) == of_body(Verb.CHAT, deep)
    assert of_body(Verb.CHAT, deep) != of_body(Verb.CHAT, deep.replace(b"a", b"b"))
    assert of_answer(Verb.CHAT, deep, "t")
