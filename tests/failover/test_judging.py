"""The check sees what is wrong: a gateway that only looks right must not pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from caravan.failover_check.asking import Answer
from caravan.failover_check.attempts import Attempt
from caravan.failover_check.judging import judge
from caravan.failover_check.scripts import TEXT, Words
from caravan.failover_check.trying import Error, Trial

MODELS = {"a": "p-a/m", "b": "p-b/m"}
TRIAL = Trial("stream", (Words(cut_after=40),))
ATTEMPTS = [
    Attempt("a", "m", 0.01, True, False, first_sent=0.1, last_sent=0.6),
    Attempt("b", "m", 0.7, True, False, first_sent=0.8, last_sent=1.5),
]
GOOD = Answer(
    stream=True,
    started=0.0,
    ended=1.6,
    status=200,
    first_word=0.11,
    arrived=[0.11, 0.5, 0.9, 1.4],
    text=TEXT,
    ids={"one"},
    model="p-b/m",
    usage={"prompt_tokens": 11, "completion_tokens": 60, "total_tokens": 71},
    finish="stop",
    done=1,
)


def test_a_good_answer_passes() -> None:
    assert judge(TRIAL, GOOD, ATTEMPTS, MODELS) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first_word": 1.55}, "only after the provider had sent its last"),
        ({"first_word": 0.61}, "only after the provider had sent its last"),
        ({"text": TEXT.replace("w40 ", "")}, "alike up to word 40"),
        ({"text": TEXT.replace("w40 ", "w40 w40 ")}, "61 words"),
        ({"done": 0}, "0 [DONE]"),
        ({"done": 2, "after_done": True}, "2 [DONE], and something after it"),
        ({"ids": {"one", "two"}}, "2 ids"),
        ({"model": "p-a/m"}, "the model is told as 'p-a/m'"),
        ({"usage": None}, "no usage"),
        ({"usage": {"prompt_tokens": 11, "completion_tokens": 20, "total_tokens": 31}}, "does not add up"),
        ({"usage": {"prompt_tokens": 7, "completion_tokens": 60, "total_tokens": 67}}, "another provider"),
        ({"ended": 9.0}, "it took 9.0 s"),
        ({"finish": ""}, "finish reason"),
        ({"error": {"message": "cut"}}, "with an error: cut"),
        ({"broken": "IncompleteRead"}, "could not be read"),
        ({"status": 502}, "HTTP 502"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    found = judge(TRIAL, replace(GOOD, **change), ATTEMPTS, MODELS)
    assert any(said in text for text in found), found


def test_a_word_that_is_held_back_for_long_is_found() -> None:
    long = [replace(ATTEMPTS[0], last_sent=5.0), ATTEMPTS[1]]
    assert any("0.7 s after it was sent" in text for text in judge(TRIAL, replace(GOOD, first_word=0.8), long, MODELS))


def test_a_second_half_that_is_held_back_is_found() -> None:
    found = judge(TRIAL, replace(GOOD, arrived=[0.11, 0.5, 1.5, 1.51]), ATTEMPTS, MODELS)
    assert found == ["nothing of what provider b sent reached the caller before all of it was sent"]


def test_too_many_attempts_are_found() -> None:
    assert judge(TRIAL, GOOD, [ATTEMPTS[0], *ATTEMPTS], MODELS) == ["provider a was asked 2 times, not 1"]


def test_an_answer_where_there_should_be_an_error_is_found() -> None:
    trial = replace(TRIAL, error=Error())
    assert any("no error was told" in text for text in judge(trial, GOOD, ATTEMPTS, MODELS))
    broken = replace(GOOD, error={"message": "x"}, text=TEXT[:80])
    assert judge(trial, broken, ATTEMPTS, MODELS) == ["an answer that ended with an error has a [DONE]"]
    assert judge(trial, replace(broken, done=0), ATTEMPTS, MODELS) == []
