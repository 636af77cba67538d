"""References to the environment, and secrets that may not be written out."""

from __future__ import annotations

import pytest
from caravan_contracts.references import (
    BadReference,
    MissingVariable,
    expand,
    is_reference,
    is_secret,
    literal_secrets,
    redact,
    resolve,
    variables,
)
from hypothesis import given
from hypothesis import strategies as st

ENV = {"X": "x", "EMPTY": "", "N": "42", "F": "0.5", "T": "True", "HOME": "/home/me", "PATHLIKE": "~/models"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${env.X}", "x"),
        ("a-${env.X}-b-${env.N}", "a-x-b-42"),
        ("${env.X:=d}", "x"),
        ("${env.NONE:=d}", "d"),
        ("${env.EMPTY:=d}", "d"),
        ("${env.NONE:=}", None),
        ("${env.X:+v}", "v"),
        ("${env.NONE:+v}", None),
        ("${env.X:+}", None),
        ("${env.N}", 42),
        ("${env.F}", 0.5),
        ("${env.T}", True),
        ("${env.NONE:=false}", False),
        ("${env.NONE:=nan}", "nan"),
        ("${env.PATHLIKE}/x.gguf", "/home/me/models/x.gguf"),
        ("${env.NONE:=~/x}", "/home/me/x"),
        ("${env.NONE:=http://h:1/v1}", "http://h:1/v1"),
        ("42", "42"),
        ("", ""),
        (7, 7),
        (None, None),
    ],
)
def test_expansion_follows_the_incumbents_rules(written: object, meant: object) -> None:
    assert expand(written, ENV) == meant
    assert expand({"k": [written]}, ENV) == {"k": [meant]}


@pytest.mark.parametrize("written", ["${env.NONE}", "a ${env.EMPTY} b"])
def test_a_required_variable_that_is_missing_is_named(written: str) -> None:
    with pytest.raises(MissingVariable, match="is not set: set it, or write") as caught:
        expand(written, ENV)
    assert caught.value.name in ("NONE", "EMPTY")


@pytest.mark.parametrize("written", ["${env.lower}", "${X}", "${env.X:-d}", "${env.X", "${env.X:=${env.N}}"])
def test_what_looks_like_a_reference_and_is_none_is_refused(written: str) -> None:
    if written == "${env.X:=${env.N}}":  # no nesting: reads as a default of "${env.N" and a brace, as it always did
        assert expand(written, ENV) == "x}"
        return
    with pytest.raises(BadReference, match="is no reference"):
        expand(written, ENV)


def test_the_meshs_own_credentials_cannot_be_referred_to() -> None:
    with pytest.raises(BadReference, match="belongs to the mesh"):
        expand("${env.DATABASE_URL:=x}", {"DATABASE_URL": "postgresql://"})


def test_a_secret_stays_a_string_and_stays_unexpanded_for_the_stack() -> None:
    config = {"api_key": "${env.N}", "headers": {"X-Api-Key": "${env.MISSING}"}, "port": "${env.N}"}
    kept = expand(config, ENV, keep_secrets=True)
    assert kept == {"api_key": "${env.N}", "headers": {"X-Api-Key": "${env.MISSING}"}, "port": 42}
    assert expand({"api_key": "${env.N}"}, ENV) == {"api_key": "42"}


def test_a_url_that_refers_to_a_password_is_kept_too() -> None:
    url = "http://me:${env.PW}@host/v1"
    assert expand({"url": url}, {}, keep_secrets=True) == {"url": url}
    assert list(literal_secrets({"url": url})) == []


@pytest.mark.parametrize(
    "key", ["api_key", "Authorization", "x-api-key", "OPENAI_API_KEY", "hf_token", "db_password", "client_secret"]
)
def test_fields_of_this_name_are_secret(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["base_url", "max_tokens", "api_key_file", "model", "tokens", "keys", "monkey"])
def test_fields_of_this_name_are_not_secret(key: str) -> None:
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("${env.X}", True),
        ("Bearer ${env.X}", True),
        ("${env.X:=}", True),
        ("${env.X:=fake}", True),
        ("${env.X:=sk-real}", False),
        ("sk-${env.X}", False),
        ("sk-real", False),
        ("", False),
    ],
)
def test_a_reference_is_nothing_but_a_reference(text: str, yes: bool) -> None:
    assert is_reference(text) is yes


def test_secrets_written_out_are_found_wherever_they_hide() -> None:
    config = {
        "api_key": "sk-1",
        "ok": {"api_key": "${env.X}", "token": "none", "password": None, "api_key_file": "/run/secrets/x"},
        "headers": {"Authorization": "Bearer sk-2"},
        "list": [{"secret": 7}],
        "credentials": {"user": "me", "key": "${env.X}"},
        "proxy": "http://me:pw@proxy:3128",
    }
    assert list(literal_secrets(config)) == [
        "api_key",
        "headers.Authorization",
        "list[0].secret",
        "credentials.user",
        "proxy",
    ]


def test_what_is_shown_holds_no_secret() -> None:
    shown = redact({"api_key": "sk-1", "h": [{"token": "${env.X}"}], "url": "http://me:pw@host/v1", "n": 1})
    assert shown == {"api_key": "********", "h": [{"token": "${env.X}"}], "url": "http://me:********@host/v1", "n": 1}


def test_a_worker_reads_the_files_of_secrets() -> None:
    config = {
        "api_key_file": "${env.PLACE:=/run/secrets/key}",
        "headers": {"Authorization_file": "/a", "x": "${env.N}"},
        "ca_file": "/ca",
        "token": "${env.X}",
        "token_file": "/ignored",
        "password": None,
        "password_file": "/p",
    }
    assert resolve(config, ENV, lambda path: f"<{path}>") == {
        "api_key": "</run/secrets/key>",
        "headers": {"Authorization": "</a>", "x": 42},
        "ca_file": "/ca",
        "token": "x",
        "password": "</p>",
    }


def test_variables_are_listed() -> None:
    assert list(variables({"a": ["${env.X} ${env.Y:=1}"], "b": 1})) == ["X", "Y"]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet="ab$ {}env.X:=+/@", max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["api_key", "url", "x"]), inner, max_size=3),
    ),
    max_leaves=10,
)


@given(json_values)
def test_no_value_breaks_it_and_showing_twice_shows_the_same(value: object) -> None:
    try:
        expand(value, ENV)
    except BadReference:
        return
    shown = redact(value)
    assert redact(shown) == shown
    assert list(literal_secrets(shown)) == list(literal_secrets(value))
