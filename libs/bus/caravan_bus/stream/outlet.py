"""What leaves a worker in one turn of the loop for one receiver is one message: a bundle of frames.

Each message costs a worker, NATS and the receiver about as much as ten tokens; with many streams under way several
frames are ready at the same time. Nothing waits for a bundle: it leaves at the end of the turn.
"""

from __future__ import annotations

from typing import Final

from caravan_contracts import frames as f

from caravan_bus.transport import Transport

_ALONE: Final = 64 * 1024
"""A frame this large goes alone: bundling it would only copy it."""
_MAX_BUNDLE: Final = 512 * 1024


class Outlet:
    """One per worker."""

    __slots__ = ("_alone", "_ready", "_scheduled", "_size", "_transport", "_waits")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ready: dict[str, list[bytes]] = {}
        """For each bundle: what it is made of."""
        self._alone: dict[str, str] = {}
        """For each bundle: where its first frame goes if there is no second."""
        self._size = 0
        self._scheduled = False
        self._waits = False
        """Whether what there is has waited for one turn already."""

    def send(self, bundle: str, number: int, reply: str, frame: bytes) -> None:
        """Send `frame` of stream `number` to `reply`, or with others to the subject `bundle`."""
        size = len(frame)
        if size >= _ALONE:
            self.flush()
            self._transport.publish(reply, frame)
            return
        if self._size + size + f.ENTRY_SIZE > _MAX_BUNDLE:
            self.flush()
        self._size += size + f.ENTRY_SIZE
        parts = self._ready.get(bundle)
        if parts is None:
            parts = self._ready[bundle] = []
            self._alone[bundle] = reply
        parts.append(f.entry(number, size))
        parts.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._transport.at_turn_end(self._end_of_turn)

    def flush(self) -> None:
        """Send what is ready."""
        ready, self._ready, self._size = self._ready, {}, 0
        alone, self._alone = self._alone, {}
        for bundle, parts in ready.items():
            if len(parts) == 2:
                self._transport.publish(alone[bundle], parts[1])
            else:
                self._transport.publish(bundle, b"".join(parts))

    def _end_of_turn(self) -> None:
        if self._waits or not any(len(parts) > 2 for parts in self._ready.values()):
            self._waits = self._scheduled = False
            self.flush()
        else:
            self._waits = True
            self._transport.at_turn_end(self._end_of_turn)
