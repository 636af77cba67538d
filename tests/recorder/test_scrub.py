"""Secrets never reach a file, and what is none stays as it is."""

from __future__ import annotations

import json

import pytest
from caravan_recorder.errors import BadCassette
from caravan_recorder.scrub import MARK, Scrubber
from hypothesis import given
from hypothesis import strategies as st

# put together here, so that no scanner of repositories takes them for real ones
KEYS = [
    "sk-" + "proj-" + "A1b2C3d4" * 4,
    "gsk" + "_" + "0123456789abcdefABCD",
    "ghp" + "_" + "0123456789abcdefABCDEF0123456789abcd",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "AIza" + "SyA-0123456789_abcdefghijklmnopqrstu",
    "xoxb" + "-1234567890-abcdefghij",
    "eyJhbGciOi" + "JIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLWhlcmU",
    "SU" + "A" * 56,
    "-----BEGIN PRIVATE " + "KEY-----\nMIIEvQ\nabc\n-----END PRIVATE " + "KEY-----",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_taken_out_wherever_it_stands(key: str) -> None:
    found: set[str] = set()
    body = {"messages": [{"role": "user", "content": f"my key is {key}, keep it"}]}
    clean = Scrubber().value(body, found)
    assert clean["messages"][0]["content"] == f"my key is {MARK}, keep it"
    assert found == {key}


@pytest.mark.parametrize(
    "name", ["Authorization", "api_key", "apiKey", "x-api-key", "password", "client_secret", "access_token", "cookie"]
)
def test_fields_of_secrets_are_emptied_whatever_they_hold(name: str) -> None:
    assert Scrubber().value({"a": [{name: "plain"}]}) == {"a": [{name: MARK}]}


@pytest.mark.parametrize("name", ["token", "max_tokens", "tokens", "top_logprobs", "name", "passport", "secretary"])
def test_other_fields_are_not(name: str) -> None:
    assert Scrubber().value({name: "plain"}) == {name: "plain"}


def test_a_tool_that_has_a_password_keeps_its_schema() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}}, "required": ["password"]}
    assert Scrubber().value({"parameters": schema}) == {"parameters": schema}


def test_secrets_in_arguments_of_a_tool_call_and_in_urls_are_taken_out() -> None:
    arguments = json.dumps({"user": "ann", "password": "hunter2", "url": "https://ann:hunter2@host/x"})
    clean = json.loads(Scrubber().value({"arguments": arguments})["arguments"])
    assert clean == {"user": "ann", "password": MARK, "url": f"https://{MARK}@host/x"}


def test_a_bearer_token_goes_and_the_word_stays() -> None:
    assert Scrubber().text("Authorization: Bearer abcdef0123456789abcdef") == f"Authorization: Bearer {MARK}"
    assert Scrubber().text("a bearer responsibilities document") == "a bearer responsibilities document"


def test_a_pattern_of_ones_own_counts_too() -> None:
    assert Scrubber([r"emp-\d{6}"]).text("emp-123456 and emp-12") == f"{MARK} and emp-12"


@pytest.mark.parametrize("pattern", ["(", "x*", ""])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(BadCassette, match="pattern of a secret"):
        Scrubber([pattern])


def test_images_are_left_alone() -> None:
    image = "data:image/png;base64," + "AKIA" + "ABCDEFGHIJKLMNOP" * 100
    assert Scrubber().text(image) == image


@given(JSON)
def test_scrubbing_twice_changes_nothing_more_and_the_shape_stays(value: object) -> None:
    once = Scrubber().value(value)
    assert Scrubber().value(once) == once
    assert type(once) is type(value)
