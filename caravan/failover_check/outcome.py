"""What a check found, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from caravan.failover_check.trying import Case


@dataclass(slots=True)
class Tried:
    """One trial."""

    name: str
    seconds: float
    attempts: dict[str, int]
    """By provider."""
    problems: list[str]
    first_word_ms: float | None = None
    """From the request to the first word."""
    note: str = ""


@dataclass(slots=True)
class Outcome:
    """One case."""

    case: Case
    tried: list[Tried] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of it was as it should be."""
        return bool(self.tried) and not any(tried.problems for tried in self.tried)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.case.id,
            "title": self.case.title,
            "ok": self.ok,
            "trials": [
                {
                    "name": tried.name,
                    "ok": not tried.problems,
                    "seconds": round(tried.seconds, 3),
                    "first_word_ms": tried.first_word_ms,
                    "attempts": tried.attempts,
                    "problems": tried.problems,
                    "note": tried.note,
                }
                for tried in self.tried
            ],
        }
