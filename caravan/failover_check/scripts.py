"""What a provider does when it is asked: one answer after another, the last one again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TOKENS: Final = 60
PAUSE: Final = 0.015
"""Seconds between two tokens of a stream."""
PROMPT_TOKENS: Final = {"a": 7, "b": 11, "c": 13}
"""What each provider counts for the same prompt, so that usage tells whose it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error before anything else."""

    status: int
    code: str = ""
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As OpenAI says it."""
        kind = "invalid_request_error" if self.status == 400 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code or None}}


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before any header."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing, until the caller gives up."""


@dataclass(frozen=True, slots=True)
class Words:
    """An answer of :data:`TOKENS` words; streams send one every :data:`PAUSE` seconds."""

    first_after: float = 0.0
    """Seconds between the headers and the first word; before the headers for an answer that does not stream."""
    cut_after: int | None = None
    """Words before the connection is reset."""
    silent_after: int | None = None
    """Words before nothing more comes."""
    bad_event: int | None = None
    """The event of this number, counted from 1, is no JSON; the words are all there."""
    done: bool = True
    """Whether ``[DONE]`` comes."""
    lingers: bool = False
    """Whether the connection stays open after the last event."""
    word: str = "w"
    """What the words begin with: another one is another answer."""
    prefill: bool = True
    """Whether a beginning of the answer is gone on from; otherwise it is refused with 400."""

    def words(self) -> list[str]:
        """All of them."""
        return [f"{self.word}{number} " for number in range(TOKENS)]


Step = Refusal | Reset | Silence | Words
Script = tuple[Step, ...]
"""The first attempt gets the first step …; the last one repeats."""

TEXT: Final = "".join(Words().words())
PREFILL_REFUSED: Final = Refusal(400, "prefill_refused", "the last message may not be the assistant's")
