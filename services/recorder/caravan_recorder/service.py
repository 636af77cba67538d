"""The work of a replay: one admitted call, answered from a recording in its own time."""

from __future__ import annotations

import asyncio
import time

import orjson
from caravan_bus.claims import Claims, body_of
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import Summary

from caravan_recorder.library import Library
from caravan_recorder.recording import Outcome, Recording


class ReplayService:
    """Serves calls from a library."""

    def __init__(self, library: Library, speed: float, claims: Claims | None) -> None:
        self._library = library
        self._speed = speed
        self._claims = claims

    async def serve(self, inbound: Inbound, sender: StreamSender) -> None:
        """One call. Raises NoRecording, or the error that was recorded."""
        began = time.monotonic()
        body = await body_of(inbound.message, self._claims)
        recording = self._library.find(inbound.verb, inbound.spec, body)
        await self._play(recording, sender, began)

    async def _play(self, recording: Recording, sender: StreamSender, began: float) -> None:
        for piece in recording.pieces:
            await self._until(began, piece.ms)
            if not sender.write(piece.data):
                await sender.room()
        await self._until(began, recording.ms)
        if recording.outcome is Outcome.ERROR:
            raise CaravanError.from_wire(orjson.dumps(recording.error))
        sender.end(Summary.from_dict(recording.summary), recording.tail)

    async def _until(self, began: float, ms: float) -> None:
        """Wait for the moment at which this was recorded; what is late is sent at once."""
        if self._speed > 0:
            left = began + ms / 1000 / self._speed - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
