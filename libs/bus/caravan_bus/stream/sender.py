"""One stream as its worker sees it: numbered frames, kept until the receiver has them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import orjson
from caravan_contracts import frames as f
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError, ClientGone
from caravan_contracts.inference import Summary

from caravan_bus.stream.outlet import Outlet
from caravan_bus.transport import Transport

_DATA: Final = int(f.Kind.DATA)
_pack = f.HEADER.pack
_HEADER: Final = f.HEADER_SIZE
_ACCEPTED: Final = f.encode(f.Kind.ACCEPT, 0)


class StreamSender:
    """Writes frames to one reply inbox and keeps what is not acknowledged, at most `window` bytes and one write."""

    __slots__ = (
        "_accepted",
        "_bundle",
        "_cancelled",
        "_frames",
        "_kept",
        "_number",
        "_outlet",
        "_room",
        "_transport",
        "ended",
        "reply",
        "resends",
        "seq",
        "window",
    )

    def __init__(
        self, transport: Transport, reply: str, window: int = f.DEFAULT_WINDOW, outlet: Outlet | None = None
    ) -> None:
        """`outlet` only for a receiver that reads bundles; one whose inbox has no number has none all the same."""
        self._transport = transport
        self._bundle, self._number = s.bundle_of(reply) if outlet is not None else ("", 0)
        self._outlet = outlet if self._bundle else None
        self.reply = reply
        self.window = window
        self.seq = 0
        self.ended = False
        self.resends = 0
        self._accepted = False
        self._cancelled = False
        self._frames: deque[bytes] = deque()
        """The last one is number `seq`, and none is missing before it."""
        self._kept = 0
        self._room: asyncio.Future[None] | None = None

    @property
    def kept(self) -> int:
        """Bytes of payload sent and not acknowledged."""
        return self._kept

    @property
    def cancelled(self) -> bool:
        """Whether the receiver gave up."""
        return self._cancelled

    @property
    def silent(self) -> bool:
        """Whether the receiver has heard nothing yet, not even that the request was accepted."""
        return not self._accepted

    def accept(self) -> None:
        """Tell the receiver that the work has begun; any other frame says so too."""
        if not self._accepted:
            self._accepted = True
            self._publish(_ACCEPTED)

    def write(self, data: bytes) -> bool:
        """Send `data`; False when the credit is used up (then `await room()`). Never blocks."""
        size = len(data)
        if size > f.MAX_DATA:
            for start in range(0, size, f.MAX_DATA):
                self._push(_DATA, data[start : start + f.MAX_DATA])
        elif size:
            seq = self.seq = self.seq + 1
            self._keep(_pack(_DATA, seq) + data)
        return self._kept < self.window

    async def room(self) -> None:
        """Wait for credit. Raises ClientGone when the stream was cancelled."""
        while self._kept >= self.window and not self._cancelled:
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self._cancelled:
            raise ClientGone("the receiver cancelled the stream")

    def end(self, summary: Summary, tail: bytes = b"") -> None:
        """End it well: `tail` is the last of the data."""
        while len(tail) > f.MAX_DATA:
            self._push(_DATA, tail[: f.MAX_DATA])
            tail = tail[f.MAX_DATA :]
        self.seq += 1
        self._keep(f.encode_end(self.seq, orjson.dumps(summary.to_dict()), tail))
        self.ended = True

    def fail(self, error: CaravanError) -> None:
        """End it with an error."""
        if not self.ended:
            self._push(f.Kind.ERROR, error.to_wire())
            self.ended = True

    def heartbeat(self, probe: str = "") -> None:
        """Say that the stream lives, and up to which number it was sent. When nobody listens any more, the bus
        itself says so at the subject `probe`."""
        self._accepted = True
        if self._outlet is not None:
            self._outlet.flush()  # it must not overtake the frames it counts
        self._transport.publish(self.reply, f.encode(f.Kind.HEARTBEAT, self.seq), probe)

    def acknowledged(self, seq: int) -> None:
        """The receiver has everything up to `seq`."""
        frames = self._frames
        for _ in range(min(len(frames), len(frames) - (self.seq - seq))):
            self._kept -= len(frames.popleft()) - _HEADER
        if self._kept < self.window:
            self._wake()

    def resend(self, seq: int) -> None:
        """Send everything after `seq` again."""
        self.acknowledged(seq)
        for frame in self._frames:
            self.resends += 1
            self._publish(frame)

    def cancel(self) -> None:
        """The receiver gave up: whoever waits for room is woken, and what was kept is dropped."""
        self._cancelled = True
        self._frames.clear()
        self._kept = 0
        self._wake()

    def _push(self, kind: int, payload: bytes) -> None:
        seq = self.seq = self.seq + 1
        self._keep(_pack(kind, seq) + payload)

    def _keep(self, frame: bytes) -> None:
        if self._cancelled:
            return
        self._frames.append(frame)
        self._kept += len(frame) - _HEADER  # as the receiver counts, or many tiny frames would end in a deadlock
        self._accepted = True
        if self._outlet is None:
            self._transport.publish(self.reply, frame)
        else:
            self._outlet.send(self._bundle, self._number, self.reply, frame)

    def _publish(self, frame: bytes) -> None:
        if self._outlet is None:
            self._transport.publish(self.reply, frame)
        else:
            self._outlet.send(self._bundle, self._number, self.reply, frame)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
