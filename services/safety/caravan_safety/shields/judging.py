"""Shields that judge passages: one text out of several, in pieces that a model can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caravan_contracts.safety import Said, Stage

from caravan_safety.shields.base import Opinion, Passage

AT_ONCE: Final = 4
"""Pieces of one passage that a model is asked about at the same time."""
_SAID_BY_MODEL: Final = (Stage.OUTPUT, Stage.TOOL_ARGUMENTS)


def by_model(passage: Passage) -> bool:
    """Whether a model said it; a user, a tool or a document otherwise."""
    return passage.stage in _SAID_BY_MODEL


def pieces(passage: Passage, characters: int) -> list[str]:
    """The texts as one, cut where it is longer than `characters`; at least one piece."""
    whole = "\n\n".join(passage.texts)
    return [whole[start : start + characters] for start in range(0, len(whole), characters)] or [""]


def said_before(passage: Passage, messages: int, characters: int) -> list[Said]:
    """The last of what was said before, `characters` in all: a long conversation must not leave the model no room."""
    kept: list[Said] = []
    for each in reversed(passage.before[-messages:] if messages else ()):
        if characters <= 0:
            break
        kept.append(each.model_copy(update={"content": each.content[-characters:]}))
        characters -= len(each.content)
    return kept[::-1]


def together(opinions: Sequence[Opinion]) -> Opinion:
    """What was said of each piece, as one: the highest score of each category."""
    categories: dict[str, float] = {}
    for opinion in opinions:
        for name, score in opinion.categories.items():
            categories[name] = max(score, categories.get(name, 0.0))
    flagged = [opinion for opinion in opinions if opinion.flagged]
    return Opinion(bool(flagged), categories, message=flagged[0].message if flagged else "")
