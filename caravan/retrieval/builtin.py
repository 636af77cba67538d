"""Documents and questions without a download: the topics of Python's help, which are chapters of its language reference
and come with every Python (PSF license), and questions that were written for them in other words."""

from __future__ import annotations

import importlib.resources
from pydoc_data.topics import topics

from caravan.retrieval.questions import Question, read

_ALIKE = 0.5
"""A topic of whose lines so many are in a larger one is left out: many are parts of others."""


def documents() -> dict[str, str]:
    """Texts by their file names, none of which is a part of another."""
    seen: set[str] = set()
    made: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        lines = {line.strip() for line in topics[name].splitlines() if line.strip()}
        if len(lines & seen) < _ALIKE * len(lines):
            made[f"{name}.txt"] = topics[name]
        seen |= lines
    return made


def questions() -> list[Question]:
    """Those whose answers this Python's documents have."""
    text = importlib.resources.files("caravan.retrieval").joinpath("questions.jsonl").read_text("utf-8")
    return read(text.splitlines(), "questions.jsonl")
