"""Where rules are found in a text, and from where on an unfinished one may still become a match."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from caravan_contracts.safety import LONGEST_MATCH

from caravan_safety.matching.characters import INVISIBLE, plain, plain_text
from caravan_safety.matching.nodes import Automaton
from caravan_safety.matching.rules import Edge, Rule
from caravan_safety.matching.states import State, States

_LOOK_EVERY: Final = 1024
"""Characters between two looks at the clock."""
_UNSEEN: Final = object()
_MOST_BEGINS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a text, in characters: matches that overlap are one."""

    start: int
    end: int
    label: str
    """Of the longest of them."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is in a text."""

    matches: Sequence[Match]
    labels: frozenset[str]
    """Of all that was found."""
    settled: int
    """Characters that no continuation can make part of a match; all of a text that has ended. A match that is longer
    than LONGEST_MATCH together with those it overlaps may begin before."""


class Scanner:
    """Any number of rules at once. A match has at most LONGEST_MATCH characters.

    From each place of the text the automaton runs until nothing can come of it, so that a scan takes at most
    LONGEST_MATCH steps a character whatever the rules are.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises BadExpression when they are too large together."""
        self._rules = tuple(rules)
        automaton = Automaton()
        self._starts = [automaton.add(each.node, number) for number, each in enumerate(self._rules)]
        self._automaton = automaton
        self._states = States(automaton)
        self._begins: dict[str, State] = {}
        self._by_edges: dict[frozenset[Edge], State] = {}
        self._edges = {each.before for each in self._rules if each.before is not None}

    def scan(self, text: str, final: bool = True, until: float = float("inf")) -> Scan:
        """Raises TimeoutError at `until`, of ``time.monotonic``."""
        if INVISIBLE.search(text) is None:
            return _merged(*self._found(text, final, until), None, len(text), final)
        places = [place for place, character in enumerate(text) if INVISIBLE.match(character) is None]
        seen = "".join(text[place] for place in places)
        return _merged(*self._found(seen, final, until), places, len(text), final)

    def _found(self, text: str, final: bool, until: float) -> tuple[list[Match], int]:
        found: list[Match] = []
        settled = length = len(text)
        before = ""
        for start, character in enumerate(text):
            if not start % _LOOK_EVERY and time.monotonic() > until:
                raise TimeoutError("the text is too long for the time that there was")
            state = self._begins.get(before) or self._begin(before)
            before = character
            if state.steps.get(character, _UNSEEN) is None:
                continue  # nothing begins with it, most of the time
            match, open_ended = self._run(state, text, start, final)
            if match is not None:
                found.append(match)
            if open_ended and settled == length:
                settled = start
        return found, settled

    def _run(self, state: State, text: str, start: int, final: bool) -> tuple[Match | None, bool]:
        """The longest match that begins at `start`, and whether what follows the text may make one, or end it."""
        ends: list[tuple[int, State]] = []
        end, limit, length = start, min(len(text), start + LONGEST_MATCH), len(text)
        now: State | None = state
        while end < limit and now is not None:
            character = text[end]
            now = now.steps[character] if character in now.steps else self._states.follow(now, character)
            end += 1
            if now is not None and now.accepts:
                ends.append((end, now))
        open_ended = not final and now is not None and end == length and self._may_change(now, end - start)
        for place, reached in reversed(ends):
            for number in reached.accepts:
                if self._holds(self._rules[number], text, start, place):
                    return Match(start, place, self._rules[number].label), open_ended
        return None, open_ended

    def _may_change(self, state: State, length: int) -> bool:
        """Whether what comes behind the end of the text matters."""
        if state.goes_on and length < LONGEST_MATCH:
            return True
        return any(self._rules[number].behind is not None for number in state.accepts)

    @staticmethod
    def _holds(rule: Rule, text: str, start: int, end: int) -> bool:
        if rule.behind is not None and end < len(text) and not rule.behind(plain(text[end])):
            return False
        return rule.check is None or rule.check(plain_text(text[start:end]))

    def _begin(self, before: str) -> State:
        """Where a run begins behind the character `before`: rules that may not stand there are left out."""
        allowed = frozenset(edge for edge in self._edges if not before or edge(plain(before)))
        state = self._by_edges.get(allowed)
        if state is None:
            rules = zip(self._starts, self._rules, strict=True)
            starts = [start for start, rule in rules if rule.before is None or rule.before in allowed]
            state = self._by_edges[allowed] = self._states.of(self._automaton.closure(starts))
        if len(self._begins) > _MOST_BEGINS:
            self._begins.clear()
        self._begins[before] = state
        return state


def _merged(found: list[Match], settled: int, places: list[int] | None, length: int, final: bool) -> Scan:
    if places is not None:
        found = [Match(places[each.start], places[each.end - 1] + 1, each.label) for each in found]
        settled = places[settled] if settled < len(places) else length
    if final:
        settled = length
    matches: list[Match] = []
    longest = 0
    for each in found:
        size = each.end - each.start
        last = matches[-1] if matches else None
        if last is None or each.start >= last.end:
            matches.append(each)
            longest = size
        else:
            label = each.label if size > longest else last.label
            longest = max(longest, size)
            matches[-1] = Match(last.start, max(last.end, each.end), label)
    for match in matches:
        if match.start < settled < match.end:
            settled = match.start  # what will overlap it becomes one match with it
    settled = max(settled, length - LONGEST_MATCH)
    return Scan(matches, frozenset(each.label for each in found), settled)
