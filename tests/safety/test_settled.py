"""What is settled of an unfinished text stays settled, whatever follows."""

from __future__ import annotations

from typing import Any

import pytest
from caravan_contracts.safety import LONGEST_MATCH
from caravan_safety.matching.rules import rule, words
from caravan_safety.matching.scanner import Scan, Scanner
from caravan_safety.shields.pii import _ROWS, _rule
from hypothesis import example, given, settings
from hypothesis import strategies as st

RULES = [
    words("word", "blue moon"),
    words("part", "secret", whole=False),
    rule("number", r"\d{3}-\d{2}(?:-\d+)?", ignore_case=False),
    rule("tag", r"<(?:a|ab|abc)+>"),
    rule("long", r"x[^y]*y"),
    rule("edge", r"\bkey\b"),
]
PII = [_rule(row) for row in _ROWS]
SEEDS = (
    "blue  moon", "SECRET", "123-45-6", "<abab>", "x zz y", "key", "keys", "a.b@c.example.org", "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00", "+49 170 1234567", "078-05-1120", "192.168.0.1", "fe80::1:2", "\u200b",
    "ｓｅｃｒｅｔ", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "943 476 5919", "12345678Z",
)  # fmt: skip
texts = st.lists(
    st.one_of(st.sampled_from(SEEDS), st.text("ab<>xy0123-. @:\u200bK", max_size=6), st.text(max_size=3)), max_size=8
).map("".join)


@pytest.fixture(params=[RULES, PII], ids=["own", "pii"])
def scanner(request: pytest.FixtureRequest) -> Scanner:
    return Scanner(request.param)


@pytest.mark.parametrize("rules", [RULES, PII], ids=["own", "pii"])
def test_no_finding_that_ends_behind_a_cut_begins_in_what_was_settled(rules: Any) -> None:
    made = Scanner(rules)

    @settings(max_examples=400)
    @given(texts, st.data())
    def holds(text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(text)))
        before, whole = made.scan(text[:cut], final=False), made.scan(text)
        assert 0 <= before.settled <= cut
        for match in whole.matches:
            if match.end > cut and match.end - match.start <= LONGEST_MATCH:
                assert match.start >= before.settled
        assert inside(before, before.settled) == inside(whole, before.settled)

    holds()


def inside(scan: Scan, settled: int) -> list[Any]:
    """What was found wholly within what is settled: it may be acted upon."""
    return [match for match in scan.matches if match.end <= settled]


@given(texts)
@example("blue moo")
def test_everything_of_a_finished_text_is_settled(text: str) -> None:
    assert Scanner(RULES).scan(text).settled == len(text)


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("no such thing. ", 15),
        ("it is a blue", 8),
        ("it is a blue ", 8),
        ("it is a bluez", 13),
        ("a blue moon", 2),  # it may go on as "blue moons"
        ("a blue moon.", 12),
        ("mysecret", 8),  # whole, whatever follows
        ("mysecre", 2),
        ("see 123-45", 4),
        ("z x" + "z" * (LONGEST_MATCH - 2), 2),
        ("z x" + "z" * LONGEST_MATCH, 3 + LONGEST_MATCH),  # it would be too long
    ],
)
def test_only_what_may_become_a_finding_is_held_back(text: str, settled: int) -> None:
    assert Scanner(RULES).scan(text, final=False).settled == settled


def test_plain_words_leave_nothing_unsettled(scanner: Scanner) -> None:
    assert scanner.scan("Nothing to see here! ", final=False).settled == 21
