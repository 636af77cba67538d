"""The primary is down for a while and comes back: everybody is served throughout, and by it again soon after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from caravan.failover_check.asking import Answer, Caller
from caravan.failover_check.cases import Pace
from caravan.failover_check.scripts import TEXT

EVERY = 0.2
"""Seconds from one request to the next."""
_STREAMED = 4
"""Of so many requests one streams."""
_EACH_WITHIN = 5.0


@dataclass(slots=True)
class Outage:
    """How it went."""

    asked: int = 0
    longest: float = 0.0
    back_after: float = -1.0
    """Seconds from the primary's return to its first answer; -1 = it was not used again."""
    problems: list[str] = field(default_factory=list)


def try_outage(
    caller: Caller, route: str, primary: str, pace: Pace, stop: Callable[[], None], start: Callable[[], None]
) -> Outage:
    """Ask all the while. `primary` is the model that tells that it answered; `stop` and `start` are its switch."""
    made = Outage()
    _until(caller, route, made, time.monotonic() + 3 * EVERY)
    stop()
    try:
        _until(caller, route, made, time.monotonic() + pace.down)
    finally:
        start()
    returned = time.monotonic()
    if _until(caller, route, made, returned + pace.back, primary):
        made.back_after = time.monotonic() - returned
    else:
        made.problems.append(f"{pace.back:g} s after its return the primary was not used again")
    return made


def _until(caller: Caller, route: str, made: Outage, end: float, model: str = "") -> bool:
    """Ask until `end`, or until `model` answered; whether it did."""
    while time.monotonic() < end and len(made.problems) < 3:
        begun = time.monotonic()
        answer = caller.ask(route, stream=made.asked % _STREAMED == 0, timeout=_EACH_WITHIN)
        made.asked += 1
        made.longest = max(made.longest, answer.seconds)
        if problem := _problem(answer):
            made.problems.append(f"request {made.asked}: {problem}")
        elif model and answer.model == model:
            return True
        time.sleep(max(0.0, EVERY - (time.monotonic() - begun)))
    return False


def _problem(answer: Answer) -> str:
    if answer.broken:
        return f"the answer could not be read: {answer.broken}"
    if answer.status != 200 or answer.error is not None:
        return f"HTTP {answer.status} with an error: {str((answer.error or {}).get('message', ''))[:160]}"
    if answer.text != TEXT or (answer.stream and answer.done != 1):
        return "the answer is not complete"
    return ""
