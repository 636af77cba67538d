"""What classifiers share, wherever they run."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from caravan_safety.shields.base import Opinion, Params, Passage


class Settings(Params):
    """Of a classifier."""

    harmless: list[str] = Field(default_factory=lambda: ["BENIGN", "SAFE", "LABEL_0"], max_length=32)
    """Labels that say that nothing is wrong."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Of the score of any other label, from which on a text is flagged."""
    max_characters: int = Field(default=2_000, ge=64, le=100_000)
    """Longer texts are judged in pieces, which overlap by an eighth."""


def pieces(passage: Passage, characters: int) -> list[str]:
    """Each text, in pieces of at most so many characters; at least one."""
    step = max(1, characters - characters // 8)
    made = [
        text[start : start + characters]
        for text in passage.texts
        for start in range(0, max(1, len(text) - characters // 8), step)
    ]
    return made or [""]


def opinion(rows: Sequence[dict[str, float]], settings: Settings) -> Opinion:
    """From the scores of each piece: the highest of each label counts."""
    harmless = {label.casefold() for label in settings.harmless}
    scores: dict[str, float] = {}
    for row in rows:
        for label, score in row.items():
            if label.casefold() not in harmless:
                scores[label] = max(score, scores.get(label, 0.0))
    said = [label for label, score in scores.items() if score >= settings.threshold]
    return Opinion(bool(said), scores, message=", ".join(said))
