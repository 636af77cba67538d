"""What is only looked at: copied while it passes, and handed on in passages."""

from __future__ import annotations

from typing import Final

from caravan_contracts.safety import LONGEST_MATCH, Stage

from caravan_bus.guarding.channel import Channel
from caravan_bus.guarding.policy import Policy

PASSAGE: Final = 16 * 1024
"""Characters that are judged together."""


class Listening:
    """To the texts of one answer."""

    def __init__(self, policy: Policy) -> None:
        self._stages = {stage for stage in Stage if policy.observing(stage)}
        self._heard: dict[Channel, list[str]] = {}
        self._sizes: dict[Channel, int] = {}
        self._ready: list[tuple[Stage, str]] = []

    def hear(self, channel: Channel, text: str) -> None:
        """More of a text."""
        if channel.stage not in self._stages:
            return
        self._heard.setdefault(channel, []).append(text)
        self._sizes[channel] = self._sizes.get(channel, 0) + len(text)
        if self._sizes[channel] > PASSAGE:
            passage = "".join(self._heard[channel])
            self._ready.append((channel.stage, passage))
            self._heard[channel] = [passage[-LONGEST_MATCH:]]
            self._sizes[channel] = LONGEST_MATCH

    def take(self, rest: bool = False) -> list[tuple[Stage, str]]:
        """Passages that are there to be judged; with `rest` all that was heard."""
        made, self._ready = self._ready, []
        if rest:
            made += [(channel.stage, "".join(texts)) for channel, texts in self._heard.items()]
            self._heard.clear()
            self._sizes.clear()
        return made
