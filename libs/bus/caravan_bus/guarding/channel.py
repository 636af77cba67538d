"""One text of an answer while it comes: what is settled of it, and what is still held back. Pure.

Places are characters from its beginning.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

from caravan_contracts.safety import LONGEST_MATCH, Stage

from caravan_bus.guarding import escapes
from caravan_bus.guarding.policy import Rules
from caravan_bus.guarding.ruling import Mask, Ruling


@dataclass(frozen=True, slots=True)
class Ask:
    """What has to be judged before more of a channel may leave."""

    channel: Channel
    text: str
    """A little that left already, then all that is held back."""
    known: int
    """Characters of the former."""
    final: bool
    forced: bool
    places: list[int] | None
    """Where its characters are written; None when the text is what is written."""

    def place(self, index: int) -> int:
        """The same, of one of them."""
        return index if self.places is None else self.places[index]


class Channel:
    """Of one choice: its content, its reasoning, the arguments of one call …"""

    def __init__(self, stage: Stage, rules: Rules, source: bool) -> None:
        """`rules` are those that its text waits for. With `source` it is JSON."""
        self.stage = stage
        self.rules = rules
        self.total = 0
        self.settled = 0
        self.ended = False
        """Whether no more of it is expected."""
        self._source = source
        self._held: list[str] = []
        self._before = ""
        self._masks: deque[Mask] = deque()
        self._asked = (0, False)

    def add(self, text: str) -> tuple[int, int]:
        """More of it; where that begins and ends."""
        start = self.total
        self.total += len(text)
        self.ended = False
        if self.rules:
            self._held.append(text)
        else:
            self.settled = self.total
        return start, self.total

    def ask(self, forced: bool = False) -> Ask | None:
        """What has to be judged next; None when there is nothing new. With `forced` it is judged as if it was whole,
        for there is no room for more of it."""
        now = (self.total, self.ended)
        if self.settled == self.total or (now == self._asked and not forced):
            return None
        self._asked = now
        written = self._before + self._join()
        final = self.ended or forced
        if not self._source:
            return Ask(self, written, len(self._before), final, not self.ended and forced, None)
        text, places = escapes.said(written, final)
        known = bisect_left(places, len(self._before), 0, len(text))
        return Ask(self, text, known, final, not self.ended and forced, places)

    def settle(self, ask: Ask, ruling: Ruling) -> None:
        """What came of it."""
        masks = [mask for mask in ruling.masks[0] if mask.end > ask.known]
        upto = len(ask.text) if ask.final else ruling.settled
        if ask.forced:
            upto = min(upto, len(ask.text) - LONGEST_MATCH)
        for mask in masks:
            if mask.start < upto < mask.end:
                upto = mask.start
        upto = max(upto, ask.known)
        if ask.forced and upto == ask.known:  # something has to leave
            upto = masks[0].end if masks else len(ask.text)
        base = self.settled - len(self._before)
        for mask in masks:
            if mask.end <= upto:
                text = escapes.written(mask.text) if self._source else mask.text
                start = max(mask.start, ask.known)
                self._masks.append(Mask(base + ask.place(start), base + ask.place(mask.end), text))
        self._advance(base + ask.place(upto) - self.settled)

    def leaving(self, start: int, end: int, text: str) -> str:
        """What of `text`, which stands at that place and is settled, may leave. Places are asked for in order."""
        made: list[str] = []
        at = start
        while self._masks and self._masks[0].start < end:
            mask = self._masks[0]
            if mask.start >= start:
                made += [text[at - start : mask.start - start], mask.text]
            at = min(mask.end, end)
            if mask.end > end:
                break
            self._masks.popleft()
        return "".join([*made, text[at - start :]])

    def _advance(self, count: int) -> None:
        if count <= 0:
            return
        held = self._join()
        self._before = (self._before + held[:count])[-LONGEST_MATCH:]
        self._held = [held[count:]]
        self.settled += count

    def _join(self) -> str:
        if len(self._held) > 1:
            self._held = ["".join(self._held)]
        return self._held[0] if self._held else ""
