"""What is looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caravan_safety.matching import expressions
from caravan_safety.matching.characters import is_word
from caravan_safety.matching.expressions import Node

Edge = Callable[[str], bool]
"""Whether a match may stand beside this character."""


def not_word(character: str) -> bool:
    """No letter, no digit, no underscore."""
    return not is_word(character)


def not_digit(character: str) -> bool:
    """No decimal digit."""
    return not character.isdecimal()


@dataclass(frozen=True, slots=True)
class Rule:
    """One expression and what is called when it is found."""

    label: str
    node: Node
    before: Edge | None = None
    behind: Edge | None = None
    check: Callable[[str], bool] | None = None
    """What more has to hold of the text that was found, in plain characters: a checksum."""


def rule(
    label: str,
    expression: str,
    *,
    before: Edge | None = None,
    behind: Edge | None = None,
    check: Callable[[str], bool] | None = None,
    ignore_case: bool = False,
) -> Rule:
    """A rule of a regular expression. Raises BadExpression."""
    read = expressions.read(expression, ignore_case)
    return Rule(
        label,
        read.node,
        before or (None if read.word_before else not_word),
        behind or (None if read.word_behind else not_word),
        check,
    )


def words(label: str, text: str, *, ignore_case: bool = True, whole: bool = True) -> Rule:
    """A rule of a word or phrase as it is written; `whole`: not within a longer word."""
    edge = not_word if whole else None
    return Rule(label, expressions.literal(text, ignore_case), edge, edge)
