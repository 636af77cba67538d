"""``caravan providers add --set``: what a value on the command line becomes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from caravan.cli import settings
from caravan.cli.app import app
from caravan.errors import StartError


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("null", None),
        ("10", 10),
        ("0.5", 0.5),
        ('["a", 1]', ["a", 1]),
        ('{"X-Team": "blue"}', {"X-Team": "blue"}),
        ('"10"', "10"),
        ("http://host:8000/v1?a=b", "http://host:8000/v1?a=b"),
        ("${env.MY_KEY}", "${env.MY_KEY}"),
        ("", ""),
        ("True", "True"),
        ("007", "007"),
        ("2024-10-21", "2024-10-21"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_what_is_json_is_read_as_json_and_the_rest_is_text(written: str, value: Any) -> None:
    assert settings.read([f"key={written}"]) == {"key": value}
    assert settings.read(texts=[f"key={written}"]) == {"key": written}


def test_dots_go_down() -> None:
    written = ["a.b.c=1", "a.b.d=x", 'a.e={"f": true}', "a.e.g=2"]
    assert settings.read(written, ["a.h=3"]) == {"a": {"b": {"c": 1, "d": "x"}, "e": {"f": True, "g": 2}, "h": "3"}}


@pytest.mark.parametrize(
    ("typed", "texts", "said"),
    [
        (["timeout"], [], "--set 'timeout': write KEY=VALUE."),
        ([], ["timeout"], "--set-string 'timeout': write KEY=VALUE."),
        (["=1"], [], "'' is no key"),
        (["a..b=1"], [], "'a..b' is no key"),
        ([" a=1"], [], "' a' is no key"),
        (["a=1", "a=2"], [], "--set a: a is given twice."),
        (["a.b=1"], ["a.b=1"], "--set-string a.b: a.b is given twice."),
        (["a=1", "a.b=2"], [], "--set a.b: a has a value already, which is no table."),
        (["a.b=1", "a={}"], [], "--set a: a is given twice."),
        (["a={b: 1}"], [], "begins like JSON but is none (Expecting property name enclosed in double quotes"),
        (["a=[::1]:80"], [], "use --set-string for text."),
        (["a=" + "[" * 100_000], [], "--set a: the JSON value is nested too deeply."),
    ],
)
def test_mistakes_are_told(typed: list[str], texts: list[str], said: str) -> None:
    with pytest.raises(StartError) as caught:
        settings.read(typed, texts)
    assert said in str(caught.value)


def test_a_value_is_not_repeated_in_a_message() -> None:
    with pytest.raises(StartError) as caught:
        settings.read(["api_key={sk-123"])
    assert "sk-123" not in str(caught.value)


@given(st.text())
def test_any_text_can_be_given_as_text(value: str) -> None:
    assert settings.read(texts=[f"a={value}"]) == {"a": value}


@given(st.text())
def test_every_value_is_read_or_refused(value: str) -> None:
    with suppress(StartError):
        assert list(settings.read([f"a={value}"])) == ["a"]


def test_the_help_says_how() -> None:
    help_text = CliRunner().invoke(app, ["providers", "add", "--help"], env={"COLUMNS": "200"}).output
    for word in ("--set ", "--set-string", "JSON", "a.b=1"):
        assert word in help_text
