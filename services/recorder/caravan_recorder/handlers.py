"""Bus subjects to tapes: what the recorder hears."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final

from caravan_bus.inference import Claims
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport
from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.channels import CHANNELS
from caravan_contracts.context import DEFAULT_TENANT, Principal
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import CallSpec
from caravan_contracts.users import RECORDER
from caravan_storage.blobs import Claim

from caravan_recorder.callers import STALL_SECONDS, Callers
from caravan_recorder.options import Filter
from caravan_recorder.recorder import Recorder
from caravan_recorder.tapes import Loss, Tape

log = logging.getLogger(__name__)

_FETCHES: Final = 64
_FETCH_SECONDS: Final = 5.0
_SWEEP_SECONDS: Final = 0.5
HEARD: Final = tuple(channel.wildcard for channel in CHANNELS if RECORDER in channel.observers)


class Tap:
    """Listens, and says nothing."""

    def __init__(
        self, transport: Transport, instance: str, recorder: Recorder, filter: Filter, claims: Claims | None
    ) -> None:
        self._transport = transport
        self._recorder = recorder
        self._tapes = recorder.tapes
        self._filter = filter
        self._claims = claims
        self.callers = Callers(transport, instance, self._on_frame, self._tapes.caller_gone, self._tapes.callers)
        self._fetching: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin: first the answers, then the requests, so that none of either is half heard."""
        self._transport.on_reconnect(self._tapes.line_broke)
        await self.callers.start()
        self._subscriptions = [await self._transport.subscribe(subject, self._on_request) for subject in HEARD]
        await self._transport.flush()
        self._task = asyncio.create_task(self._sweep(), name="tapes")

    async def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        await self.callers.close()
        for task in (self._task, *self._fetching):
            await cancel_and_wait(task)

    def _on_request(self, message: Message) -> None:
        if not message.reply:
            return
        headers = message.headers
        try:
            spec = CallSpec.decode(headers.get(h.CALL, ""))
            principal = headers.get(h.PRINCIPAL)
            tenant = Principal.decode(principal).tenant if principal else DEFAULT_TENANT
            claim = Claim.decode(headers[h.CLAIM]) if h.CLAIM in headers else None
        except CaravanError:
            self._recorder.lose(Loss.UNREADABLE)
            return
        verb = message.subject.rpartition(".")[2]
        if not self._filter.wants(verb, spec.provider, tenant, (spec.shown_model, spec.model)):
            self._recorder.lose(Loss.FILTERED)
            return
        if not self.callers.knows(message.reply):
            self._recorder.lose(Loss.TOO_EARLY)
            return
        tape = Tape(message.reply, verb, spec, tenant, message.data, time.monotonic(), datetime.now(UTC))
        if claim is not None:
            tape.size, tape.waiting = claim.size, True
        if self._tapes.begin(tape) and claim is not None:
            self._fetch(tape, claim)

    def _on_frame(self, message: Message) -> None:
        now, prefix = time.monotonic(), message.subject.rpartition(".")[0]
        if message.subject != s.bundle_inbox(prefix):
            self._tapes.frame(message.subject, message.data, now)
            return
        try:
            for number, frame in f.decode_bundle(message.data):
                self._tapes.frame(f"{prefix}.{s.stream_number(number)}", frame, now)
        except ValueError as error:
            log.warning("a bundle of frames could not be read: %s", error)

    def _fetch(self, tape: Tape, claim: Claim) -> None:
        if self._claims is None or len(self._fetching) >= _FETCHES:
            why = "there is no Redis to fetch it from" if self._claims is None else "too many were fetched at once"
            self._tapes.fetched(tape, b"", f"the body of {claim.size} bytes is missing: {why}")
            return
        task = asyncio.create_task(self._fetched(self._claims, tape, claim))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetched(self, claims: Claims, tape: Tape, claim: Claim) -> None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                body = await claims.claim(claim.encode())
        except (CaravanError, TimeoutError) as error:
            self._tapes.fetched(tape, b"", f"the body of {claim.size} bytes is missing: {error}")
            return
        self._tapes.fetched(tape, body)

    async def _sweep(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            # after a stall of this process frames may wait to be read: nobody is silent before they are
            if self._transport.connected and now - before < _SWEEP_SECONDS + STALL_SECONDS:
                self._tapes.sweep(now)
