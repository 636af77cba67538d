"""Regular expressions, as far as they describe a regular language: Python's own parser reads them.

What is not regular (back references), looks around, or cannot stand in the middle is refused with what to write
instead. ``\\b``, ``^`` and ``$`` may stand at the ends.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from caravan_safety.matching.characters import is_word, plain

_parser: Any = importlib.import_module("re._parser")
"""Of the standard library, in every Python from 3.11 on; its trees are what :mod:`re` itself compiles."""

Test = Callable[[str], bool]
"""Whether one character is meant."""

MANY: Final = 1 << 30
"""Copies that stand for "any number"."""


class BadExpression(ValueError):
    """An expression that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class One:
    """One character."""

    test: Test


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any of its parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, so many times; `most` is MANY without a bound."""

    part: Node
    least: int
    most: int


Node = One | Sequence | Choice | Repeat


@dataclass(frozen=True, slots=True)
class Expression:
    """What is meant, and whether a word may go on before and behind it."""

    node: Node
    word_before: bool = True
    word_behind: bool = True


def literal(text: str, ignore_case: bool) -> Node:
    """A text as it is; any blank in it stands for any number of blanks."""
    parts: list[Node] = []
    for word in text.split():
        if parts:
            parts.append(Repeat(One(str.isspace), 1, MANY))
        parts += [One(_same(character, ignore_case)) for character in word]
    return Sequence(tuple(parts))


def read(text: str, ignore_case: bool = False) -> Expression:
    """Raises BadExpression."""
    try:
        tree = _parser.parse(text, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadExpression(f"the expression {text[:80]!r} cannot be read: {error}") from error
    items = list(tree)
    before = behind = True
    if items and str(items[0][0]) == "AT" and str(items[0][1]) == "AT_BOUNDARY":
        items, before = items[1:], False
    if items and str(items[-1][0]) == "AT" and str(items[-1][1]) == "AT_BOUNDARY":
        items, behind = items[:-1], False
    flags = tree.state.flags
    node = Sequence(tuple(_node(item, flags, text) for item in items))
    if may_be_empty(node):
        raise BadExpression(f"the expression {text[:80]!r} would be found everywhere: it may be empty")
    return Expression(node, before, behind)


def may_be_empty(node: Node) -> bool:
    """Whether no character at all is enough."""
    match node:
        case One():
            return False
        case Sequence(parts):
            return all(map(may_be_empty, parts))
        case Choice(parts):
            return any(map(may_be_empty, parts))
        case Repeat(part, least, _):
            return least == 0 or may_be_empty(part)


def _node(item: tuple[Any, Any], flags: int, text: str) -> Node:
    kind, value = str(item[0]), item[1]
    ignore = bool(flags & re.IGNORECASE)
    if kind == "LITERAL":
        return One(_same(chr(value), ignore))
    if kind == "NOT_LITERAL":
        same = _same(chr(value), ignore)
        return One(lambda character: not same(character))
    if kind == "ANY":
        return One((lambda _: True) if flags & re.DOTALL else (lambda character: character != "\n"))
    if kind == "IN":
        return One(_class(value, ignore))
    if kind == "BRANCH":
        return Choice(tuple(_sequence(branch, flags, text) for branch in value[1]))
    if kind == "SUBPATTERN":
        _, more, less, inner = value
        return _sequence(inner, (flags | more) & ~less, text)
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, inner = value
        return Repeat(_sequence(inner, flags, text), int(least), MANY if most is _parser.MAXREPEAT else int(most))
    raise BadExpression(f"the expression {text[:80]!r} uses {_NAMES.get(kind, kind.lower())}, which is not supported")


_NAMES: Final = {
    "AT": "^, $ or \\b within it (\\b may stand at its ends)",
    "ASSERT": "a look around",
    "ASSERT_NOT": "a look around",
    "GROUPREF": "a back reference",
    "GROUPREF_EXISTS": "a back reference",
    "POSSESSIVE_REPEAT": "a possessive repeat",
    "ATOMIC_GROUP": "an atomic group",
}


def _sequence(items: Any, flags: int, text: str) -> Node:
    return Sequence(tuple(_node(item, flags, text) for item in items))


def _same(wanted: str, ignore_case: bool) -> Test:
    if not ignore_case:
        return lambda character: character == wanted or plain(character) == wanted
    forms = {wanted, wanted.lower(), wanted.upper(), wanted.casefold()}
    return lambda character: character in forms or plain(character).lower() in forms


def _class(items: Any, ignore_case: bool) -> Test:
    negate = bool(items) and str(items[0][0]) == "NEGATE"
    tests = [_part(item) for item in items[negate:]]

    def found(character: str) -> bool:
        return any(test(character) for test in tests)

    def one_of(character: str) -> bool:
        forms = {character, plain(character)}
        if ignore_case:
            forms |= {form.lower() for form in forms} | {form.upper() for form in forms}
        return any(map(found, forms)) != negate

    return one_of


def _part(item: tuple[Any, Any]) -> Test:
    kind, value = str(item[0]), item[1]
    if kind == "LITERAL":
        return lambda character: character == chr(value)
    if kind == "RANGE":
        low, high = map(chr, value)
        return lambda character: low <= character <= high
    return _CATEGORIES[str(value)]


_CATEGORIES: Final[dict[str, Test]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda character: not character.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda character: not character.isspace(),
    "CATEGORY_WORD": is_word,
    "CATEGORY_NOT_WORD": lambda character: not is_word(character),
}
