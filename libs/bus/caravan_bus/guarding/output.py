"""A stream of chunks of which nothing leaves before it is settled. Pure: whoever reads it asks for the verdicts.

Events keep their order within a choice. One without text that stands behind nothing leaves as it came, byte for byte.
When a choice goes on with another text (words after reasoning, the next call), the one before is taken for ended:
otherwise its last characters would hold back all of the next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.safety import LONGEST_MATCH, Stage

from caravan_bus.guarding.channel import Ask, Channel
from caravan_bus.guarding.listening import Listening
from caravan_bus.guarding.logprobs import harmless
from caravan_bus.guarding.pieces import Path, Piece, pieces, rest_of
from caravan_bus.guarding.policy import Policy
from caravan_bus.guarding.sse import Events, event, payload

MOST_HELD: Final = 128 * 1024
"""Bytes of the events of one choice that are held back; then no more is read. Texts that no shield settles are then
judged as they are."""
_FEWEST: Final = 2 * LONGEST_MATCH
"""Characters of a text that are held back all the same, as long as their events are not too large."""
_LARGEST: Final = 16 * MOST_HELD
_MOST_CHANNELS: Final = 2048
_DONE: Final = b"[DONE]"


@dataclass(slots=True)
class Part:
    """A text of an event, and where it belongs."""

    piece: Piece
    channel: Channel
    start: int
    end: int


@dataclass(slots=True)
class Held:
    """An event that waits. It has one choice."""

    chunk: dict[str, Any]
    raw: bytes | None
    """As it came; None when it is not that any more."""
    parts: list[Part]
    size: int

    @property
    def choice(self) -> dict[str, Any]:
        """Its choice."""
        found: dict[str, Any] = self.chunk["choices"][0]
        return found

    @property
    def settled(self) -> bool:
        """Whether it may leave."""
        return all(part.channel.settled >= part.end for part in self.parts)

    def written(self) -> bytes:
        """What leaves of it."""
        changed = self.raw is None
        for part in self.parts:
            text = part.channel.leaving(part.start, part.end, part.piece.text)
            if text != part.piece.text:
                part.piece.put(text)
                changed = True
                if "logprobs" in self.choice:
                    self.choice["logprobs"] = None
        return event(self.chunk) if changed or self.raw is None else self.raw


@dataclass(slots=True)
class Choice:
    """One answer of several."""

    waiting: deque[Held] = field(default_factory=deque)
    channels: dict[Path, Channel] = field(default_factory=dict)
    open: Channel | None = None
    """The one that came last."""
    size: int = 0
    begun: bool = False
    """Whether anything of it has left."""
    finished: bool = False
    """Whether its end has."""

    @property
    def full(self) -> bool:
        """Whether no more of it may come."""
        if self.size <= MOST_HELD:
            return False
        much = any(channel.total - channel.settled >= _FEWEST for channel in self.channels.values())
        return much or self.size > _LARGEST

    def end(self) -> None:
        """All of its texts are whole."""
        for channel in self.channels.values():
            channel.ended = True


class Output:
    """Of one stream."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._events = Events()
        self._choices: dict[int, Choice] = {}
        self._count = 0
        self._after: list[bytes] = []
        self._out: list[bytes] = []
        self.listening = Listening(policy)
        self.head: dict[str, Any] = {}
        """What is the same in all chunks."""
        self.usage: dict[str, Any] | None = None
        self.tokens = 0
        """Events that brought text."""
        self.done = False

    @property
    def full(self) -> bool:
        """Whether no more should be fed."""
        return any(choice.full for choice in self._choices.values())

    @property
    def choices(self) -> dict[int, Choice]:
        """Those that have begun, by their numbers."""
        return self._choices

    def feed(self, data: bytes) -> None:
        """More of the stream, cut anywhere. Raises UpstreamBroke for what cannot be read."""
        for raw in self._events.feed(data):
            self._take(raw)

    def end(self) -> None:
        """It ended well: all texts are whole. Raises UpstreamBroke when the last event is not."""
        self._events.end()
        for choice in self._choices.values():
            choice.end()

    def asks(self, forced: bool = False) -> list[Ask]:
        """What has to be judged before more may leave."""
        found = (
            channel.ask(forced)
            for choice in self._choices.values()
            if choice.full or not forced
            for channel in choice.channels.values()
        )
        return [ask for ask in found if ask is not None]

    def release(self) -> bytes:
        """Everything that may leave now."""
        for choice in self._choices.values():
            self._release(choice)
        if self._after and not any(choice.waiting for choice in self._choices.values()):
            self._out += self._after
            self._after.clear()
        made = b"".join(self._out)
        self._out.clear()
        return made

    def _take(self, raw: bytes) -> None:
        data = payload(raw)
        if not data:
            if raw.startswith(b":"):
                self._out.append(raw)
        elif data == _DONE:
            self.done = True
        else:
            self._take_chunk(raw, _read(data))

    def _take_chunk(self, raw: bytes, chunk: dict[str, Any]) -> None:
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        found = chunk.get("choices")
        if not isinstance(found, list) or not found:
            self._after.append(raw)
            return
        if not self.head:
            self.head = {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
        if not all(isinstance(choice, dict) for choice in found):
            raise UpstreamBroke("a model's answer has a choice that a guardrail cannot read")
        for number, choice in enumerate(found):
            if len(found) == 1:
                self._put(chunk, choice, raw)
            else:
                last = number == len(found) - 1
                one = chunk if last else {name: value for name, value in chunk.items() if name != "usage"}
                self._put({**one, "choices": [choice]}, choice, None, len(raw) // len(found))

    def _put(self, chunk: dict[str, Any], choice: dict[str, Any], raw: bytes | None, size: int = 0) -> None:
        index = choice.get("index")
        state = self._choices.setdefault(index if isinstance(index, int) else 0, Choice())
        parts = [self._part(state, piece) for piece in pieces(choice)]
        self.tokens += bool(parts)
        if choice.get("logprobs") and self._policy.gating(Stage.OUTPUT):
            choice["logprobs"] = harmless(choice["logprobs"], parts[0].piece.text if len(parts) == 1 else "")
            raw = None
        if choice.get("finish_reason"):
            state.end()
        held = Held(chunk, raw, parts, len(raw) if raw is not None else size)
        state.size += held.size
        state.waiting.append(held)
        self._release(state)

    def _part(self, state: Choice, piece: Piece) -> Part:
        channel = state.channels.get(piece.path)
        if channel is None:
            self._count += 1
            if self._count > _MOST_CHANNELS:
                raise UpstreamBroke("a model's answer has more texts than a guardrail reads")
            channel = state.channels[piece.path] = Channel(piece.stage, self._policy.gating(piece.stage), piece.source)
        if state.open is not None and state.open is not channel:
            state.open.ended = True
        state.open = channel
        self.listening.hear(channel, piece.text)
        return Part(piece, channel, *channel.add(piece.text))

    def _release(self, state: Choice) -> None:
        while state.waiting:
            held = state.waiting[0]
            if not held.settled:
                state.size += self._split(held)
                return
            state.waiting.popleft()
            state.size -= held.size
            state.begun = True
            state.finished = state.finished or bool(held.choice.get("finish_reason"))
            self._out.append(held.written())

    def _split(self, held: Held) -> int:
        """Have that part of an event leave that is settled; by how much it is larger now."""
        part = held.parts[0]
        settled, piece, choice = part.channel.settled, part.piece, held.choice
        if len(held.parts) > 1 or settled <= part.start or choice.get("logprobs"):
            return 0
        rest = rest_of(choice, piece, piece.text[settled - part.start :])
        if rest is None:
            return 0
        ends = {name: choice.pop(name) for name in ("finish_reason", "logprobs") if name in choice}
        first = {name: value for name, value in held.chunk.items() if name != "usage"}
        piece.put(part.channel.leaving(part.start, settled, piece.text[: settled - part.start]))
        self._out.append(event({**first, "choices": [{**choice, **dict.fromkeys(ends)}]}))
        held.chunk = {**held.chunk, "choices": [{**rest, **ends}]}
        held.raw = None
        held.parts = [Part(found, part.channel, settled, part.end) for found in pieces(held.choice)]
        size, held.size = held.size, sum(len(kept.piece.text) for kept in held.parts) + _FEWEST
        return held.size - size


def _read(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamBroke("a model's answer has an event that a guardrail cannot read") from error
    if not isinstance(chunk, dict):
        raise UpstreamBroke("a model's answer has an event that a guardrail cannot read")
    return chunk
