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

    __slots__ = ("_ready", "_scheduled", "_size", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ready: dict[str, list[tuple[int, str, bytes]]] = {}
        self._size = 0
        self._scheduled = False

    def send(self, bundle: str, number: int, reply: str, frame: bytes) -> None:
        """Send `frame` of stream `number` to `reply`, or with others to the subject `bundle`."""
        size = len(frame)
        if size >= _ALONE:
            self.flush()
            self._transport.publish(reply, frame)
            return
        size += f.ENTRY_SIZE
        if self._size + size > _MAX_BUNDLE:
            self.flush()
        self._size += size
        entry = (number, reply, frame)
        waiting = self._ready.get(bundle)
        if waiting is None:
            self._ready[bundle] = [entry]
        else:
            waiting.append(entry)
        if not self._scheduled:
            self._scheduled = True
            self._transport.at_turn_end(self._end_of_turn)

    def flush(self) -> None:
        """Send what is ready."""
        ready, self._ready, self._size = self._ready, {}, 0
        for bundle, entries in ready.items():
            if len(entries) == 1:
                _, reply, frame = entries[0]
                self._transport.publish(reply, frame)
            else:
                data = f.encode_bundle([(number, frame) for number, _, frame in entries])
                self._transport.publish(bundle, data)

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self.flush()
