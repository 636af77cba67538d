"""The sixteen faults, and one thing that no gateway can repair. docs/failover.md has them as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from caravan.failover_check.scripts import PAUSE, TOKENS, Refusal, Reset, Silence, Words
from caravan.failover_check.trying import Case, Error, Trial

_STREAM: Final = TOKENS * PAUSE
"""Seconds that a whole stream takes."""
_RESET_ASKED: Final = (1, 4)
"""Two tries. A connection that was kept open may just have grown old when it is reset, so each may need another."""
OUTAGE: Final = "outage"
"""Tried by :mod:`caravan.failover_check.outage`."""
BREAKS_OFF: Final = "another-answer"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds; the real ones make a run of the check last longer than a minute."""

    limit: float = 1.0
    """`first_token` and `between_tokens` of the routes."""
    late: float = 4.0
    """When a late first token comes."""
    down: float = 4.0
    """How long the primary is away."""
    back: float = 10.0
    """Until it has to be used again."""
    open_seconds: float = 1.0
    """Of its circuit breaker."""


QUICK: Final = Pace()
REAL: Final = Pace(limit=3.0, late=20.0, down=60.0, back=30.0, open_seconds=10.0)


def both(trial: Trial) -> tuple[Trial, Trial]:
    """As a stream and whole."""
    return replace(trial, name="stream"), replace(trial, name="whole", stream=False)


def sixteen(pace: Pace) -> list[Case]:
    """In the order in which they are known; the outage has no trials of this kind."""
    limits = {"timeouts": {"first_token": pace.limit, "between_tokens": pace.limit}}
    late = pace.limit + _STREAM + 2.0
    cut = Trial("replay", (Words(cut_after=40),), within=2 * _STREAM + 2.5)
    goes_on: tuple[Mapping[str, object], Mapping[str, object]] = ({}, {"prefill": True})
    silent = Trial("replay", (Words(silent_after=20),), route=limits, within=late + _STREAM)
    too_long = Refusal(400, "context_length_exceeded", "the prompt is longer than this model's context of 1000 tokens")
    sizes = ({"context_length": 1000}, {"context_length": 100_000})
    policy = Refusal(400, "content_policy_violation", "the prompt was refused by the provider's content policy")
    plain_429 = Refusal(429, "rate_limit_exceeded")
    return [
        Case(
            "retry-after",
            "429 with Retry-After: 2",
            (
                *both(Trial("", (replace(plain_429, headers={"retry-after": "2"}), Words()), fallback_asked=(1, 1))),
                Trial(
                    "alone",
                    (replace(plain_429, headers={"retry-after": "2"}), Words()),
                    fallback=(),
                    finisher="a",
                    primary_asked=(2, 2),
                    fallback_asked=(0, 0),
                    not_before=1.9,
                    within=5.5,
                ),
            ),
        ),
        Case(
            "rate-limited",
            "429 for ever, without Retry-After",
            (
                *both(Trial("", (plain_429,), primary_asked=(1, 4))),
                Trial(
                    "alone",
                    (plain_429,),
                    fallback=(),
                    primary_asked=(1, 4),
                    fallback_asked=(0, 0),
                    error=Error(429),
                ),
            ),
        ),
        Case(
            "error-once",
            "500 once",
            both(Trial("", (Refusal(500), Words()), finisher="a", primary_asked=(2, 2), fallback_asked=(0, 0))),
        ),
        Case("unavailable", "503 for ever", both(Trial("", (Refusal(503),), primary_asked=(1, 2)))),
        Case("reset", "connection reset before any header", both(Trial("", (Reset(),), primary_asked=_RESET_ASKED))),
        Case("no-response", "no response at all", both(Trial("", (Silence(),), route=limits, within=late))),
        Case(
            "late-first-token",
            f"first token after {pace.late:g} s",
            both(Trial("", (Words(first_after=pace.late),), route=limits, within=late)),
        ),
        Case(
            "cut",
            "stream cut after 40 of 60 tokens",
            (
                cut,
                replace(cut, name="prefill", targets=goes_on),
            ),
        ),
        Case(
            "stalled",
            "stream silent after 20 tokens",
            (silent, replace(silent, name="prefill", targets=goes_on)),
        ),
        Case(
            "bad-event",
            "tenth event is no JSON",
            (Trial("stream", (Words(bad_event=10),), finisher="a", fallback_asked=(0, 0)),),
        ),
        Case(
            "no-done",
            "no [DONE]",
            (
                Trial("closed", (Words(done=False),), finisher="a", fallback_asked=(0, 0)),
                Trial("open", (Words(done=False, lingers=True),), finisher="a", fallback_asked=(0, 0)),
            ),
        ),
        Case("context-length", "context length exceeded", both(Trial("", (too_long,), targets=sizes))),
        Case(
            "content-policy",
            "refused by content policy",
            both(Trial("", (policy,), fallback_asked=(0, 0), error=Error(400, policy.code))),
        ),
        Case(
            "refused-prefill",
            "stream cut, and the fallback refuses to go on from a beginning",
            (replace(cut, name="stream", fallback=(Words(prefill=False),), targets=goes_on, fallback_asked=(1, 2)),),
        ),
        Case(OUTAGE, f"primary down for {pace.down:g} s, then back", ()),
        Case(
            "accounting",
            "reported model and usage are the fallback's",
            both(Trial("", (Refusal(503),), primary_asked=(1, 2))),
        ),
    ]


def beyond_repair() -> Case:
    """A stream that breaks while the fallback would say something else: the honest end is an error."""
    return Case(
        BREAKS_OFF,
        "stream cut, and the fallback's answer is another one: an error, no [DONE]",
        (
            Trial(
                "stream",
                (Words(cut_after=40),),
                fallback=(Words(word="v"),),
                fallback_asked=(1, 1),
                error=Error(),
                within=2 * _STREAM + 2.5,
            ),
        ),
    )
