"""An automaton made deterministic while it runs: what is met often is looked up, and what is kept is bounded."""

from __future__ import annotations

from typing import Final

from caravan_safety.matching.nodes import Automaton

_MOST_STEPS: Final = 200_000
"""Steps that are remembered; then all are forgotten."""


class State:
    """A set of places of the automaton."""

    __slots__ = ("accepts", "goes_on", "places", "steps")

    def __init__(self, places: frozenset[int], automaton: Automaton) -> None:
        self.places = places
        self.steps: dict[str, State | None] = {}
        self.accepts = tuple(sorted({automaton.accepts[place] for place in places if place in automaton.accepts}))
        """Numbers of the expressions that end here."""
        self.goes_on = any(automaton.step[place] is not None for place in places)
        """Whether another character may be part of one."""


class States:
    """Those of one automaton."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._known: dict[frozenset[int], State] = {}
        self._steps = 0

    def of(self, places: frozenset[int]) -> State:
        """The state of these places."""
        state = self._known.get(places)
        if state is None:
            state = self._known.setdefault(places, State(places, self._automaton))
        return state

    def follow(self, state: State, character: str) -> State | None:
        """Where `character` leads for the first time; None = nowhere."""
        steps = self._automaton.step
        reached = {step[1] for place in state.places if (step := steps[place]) is not None and step[0](character)}
        following = self.of(self._automaton.closure(reached)) if reached else None
        self._steps += 1
        if self._steps > _MOST_STEPS:
            self._steps = 0
            for known in self._known.values():
                known.steps = {}
            self._known = {}
        state.steps[character] = following
        return following
