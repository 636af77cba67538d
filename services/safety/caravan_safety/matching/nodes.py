"""Expressions as one nondeterministic automaton (Thompson's construction)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from caravan_safety.matching.expressions import MANY, BadExpression, Choice, Node, One, Repeat, Sequence, Test

MOST_OF_ONE: Final = 4_096
"""Places of one expression: a repeat counts as often as it may be repeated."""
MOST: Final = 131_072
"""Of all of them."""


class Automaton:
    """Places with steps between them. A step is free, or takes one character."""

    def __init__(self) -> None:
        self.free: list[list[int]] = []
        self.step: list[tuple[Test, int] | None] = []
        self.accepts: dict[int, int] = {}
        """Places where an expression ends, and which."""

    def add(self, node: Node, number: int) -> int:
        """An expression; the place where it begins. Raises BadExpression when it is too large."""
        before = len(self.free)
        start, end = self._build(node, before)
        self.accepts[end] = number
        if len(self.free) > MOST:
            raise BadExpression("these are too many expressions for one shield: make several of it")
        return start

    def closure(self, places: Iterable[int]) -> frozenset[int]:
        """What is reached for free, without the places that only lead on."""
        seen = set(places)
        waiting = list(seen)
        while waiting:
            for following in self.free[waiting.pop()]:
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return frozenset(place for place in seen if self.step[place] is not None or place in self.accepts)

    def _place(self) -> int:
        self.free.append([])
        self.step.append(None)
        return len(self.free) - 1

    def _build(self, node: Node, before: int) -> tuple[int, int]:
        if len(self.free) - before > MOST_OF_ONE:
            raise BadExpression(f"an expression comes to more than {MOST_OF_ONE} places: repeat less")
        match node:
            case One(test):
                start, end = self._place(), self._place()
                self.step[start] = (test, end)
                return start, end
            case Sequence(parts):
                start = end = self._place()
                for part in parts:
                    first, last = self._build(part, before)
                    self.free[end].append(first)
                    end = last
                return start, end
            case Choice(parts):
                start, end = self._place(), self._place()
                for part in parts:
                    first, last = self._build(part, before)
                    self.free[start].append(first)
                    self.free[last].append(end)
                return start, end
            case Repeat():
                return self._repeat(node, before)

    def _repeat(self, node: Repeat, before: int) -> tuple[int, int]:
        start = end = self._place()
        for _ in range(node.least):
            first, last = self._build(node.part, before)
            self.free[end].append(first)
            end = last
        if node.most >= MANY:
            first, last = self._build(node.part, before)
            self.free[end].append(first)
            self.free[last].append(end)
            return start, end
        final = self._place()
        self.free[end].append(final)
        for _ in range(node.most - node.least):
            first, last = self._build(node.part, before)
            self.free[end].append(first)
            end = last
            self.free[end].append(final)
        return start, final
