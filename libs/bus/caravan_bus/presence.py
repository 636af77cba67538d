"""Presence, both ways: a worker's beacon, and everybody else's table of workers."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from caravan_contracts import subjects as s
from caravan_contracts.presence import (
    GONE_AFTER_SECONDS,
    HEARTBEAT_SECONDS,
    Load,
    Presence,
    WorkerState,
)

from caravan_bus.slots import Slots
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

_IDLE_BEATS = 4
"""An idle worker repeats itself only every fourth beat."""
_SUSPECT_SECONDS = 1.5
"""Silence after which a worker is probed: at least one heartbeat of an idle worker is missing."""
NOBODY_SECONDS = 0.2
"""A worker that nobody finds for so long is gone; one whose connection broke is back before."""
RETURN_SECONDS = 3.0
"""How long after this process's own line broke: workers lost theirs as well, and come back one by one."""


class PresenceBeacon:
    """Says who this worker is, four times a second while its load moves, at once when it becomes full or free."""

    def __init__(self, transport: Transport, service: str, worker: str, slots: Slots) -> None:
        self._transport = transport
        self._service = service
        self._worker = worker
        self._slots = slots
        self._state = WorkerState.READY
        # a worker that is started again under the same name goes on where it was
        self._seq = time.time_ns() // 1_000_000
        self._last: dict[str, Load] = {}
        self._task: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._scheduled = False
        self._busy = 0
        self._measured = (time.monotonic(), time.process_time())

    async def start(self) -> None:
        """Begin; from now on callers may choose this worker."""
        self._measured = (time.monotonic(), time.process_time())  # what the start of the process took is no load
        self._subscription = await self._transport.subscribe(s.PRESENCE_WANTED, lambda _: self.say())
        self._transport.on_reconnect(self.say)
        self._slots.changed = self._soon
        self._task = asyncio.create_task(self._beat(), name="presence")

    async def leave(self) -> None:
        """The last word: this worker is gone."""
        self._slots.changed = lambda: None
        await cancel_and_wait(self._task)
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        self._state = WorkerState.GONE
        self.say()

    def drain(self) -> None:
        """Say that this worker takes nothing more."""
        self._state = WorkerState.DRAINING
        self.say()

    def say(self) -> None:
        """Publish one heartbeat now."""
        self._seq += 1
        self._last = self._slots.loads()
        message = Presence(self._worker, self._service, self._state, self._seq, self._last, self._busy)
        self._transport.publish(s.PRESENCE, message.encode())

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._now)

    def _now(self) -> None:
        self._scheduled = False
        self.say()

    async def _beat(self) -> None:
        quiet = _IDLE_BEATS
        while True:
            self._measure()
            quiet += 1
            if quiet >= _IDLE_BEATS or self._slots.loads() != self._last:
                quiet = 0
                self.say()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _measure(self) -> None:
        clock, cpu = time.monotonic(), time.process_time()
        if clock - self._measured[0] >= HEARTBEAT_SECONDS / 2:
            self._busy = round(100 * (cpu - self._measured[1]) / (clock - self._measured[0]))
            self._measured = (clock, cpu)


@dataclass(slots=True)
class WorkerEntry:
    """What is known of one worker."""

    presence: Presence
    heard: float
    own: dict[str, int] = field(default_factory=dict)
    """Requests this process itself has at the worker, per provider."""
    foreign: dict[str, int] = field(default_factory=dict)
    """Slots others held when the worker last spoke."""
    nobody_since: float = 0.0
    """When NATS first said that nobody listens there; 0.0 once it is heard again."""

    def free(self, provider: str) -> int:
        """Slots this process may count on."""
        load = self.presence.providers.get(provider)
        if load is None or self.presence.state is not WorkerState.READY or self.nobody_since:
            return 0
        return load.slots - self.foreign.get(provider, 0) - self.own.get(provider, 0)


class PresenceTable:
    """Every worker of one service, as heard.

    `on_free` is called when a worker may have become free; `on_gone` with the id of one that left or is proven dead;
    `on_silent` with the id of one that is not heard any more, and may come back.
    """

    def __init__(self, transport: Transport, service: str, probe_inbox: str) -> None:
        self._transport = transport
        self._service = service
        self._probe_inbox = probe_inbox
        self._workers: dict[str, WorkerEntry] = {}
        self._by_provider: dict[str, list[WorkerEntry]] = {}
        self._subscriptions: list[Subscription] = []
        self._task: asyncio.Task[None] | None = None
        self._settled = 0.0
        """From when on nobody at a worker's subject means that it is gone."""
        self.on_free: list[Callable[[], None]] = []
        self.on_gone: list[Callable[[str], None]] = []
        self.on_silent: list[Callable[[str], None]] = []

    async def start(self) -> None:
        """Listen, and ask everybody to speak up."""
        self._subscriptions = [
            await self._transport.subscribe(s.PRESENCE, self._on_presence),
            await self._transport.subscribe(self._probe_inbox + ".*", self._on_probe),
        ]
        self._transport.on_reconnect(self._reconnected)
        self._transport.publish(s.PRESENCE_WANTED, b"{}")
        self._task = asyncio.create_task(self._watch(), name="presence-watch")

    async def close(self) -> None:
        """Stop listening."""
        await cancel_and_wait(self._task)
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    def workers(self, provider: str) -> list[WorkerEntry]:
        """Workers that say they serve `provider`, in an order of this process's own, in which it fills them."""
        return self._by_provider.get(provider, [])

    def take(self, entry: WorkerEntry, provider: str) -> None:
        """This process sent a request there."""
        entry.own[provider] = entry.own.get(provider, 0) + 1

    def give_back(self, entry: WorkerEntry, provider: str) -> None:
        """That request is over."""
        entry.own[provider] = max(0, entry.own.get(provider, 0) - 1)
        for callback in self.on_free:
            callback()

    def full(self, entry: WorkerEntry, provider: str) -> None:
        """It answered BUSY: believe it until it speaks again."""
        load = entry.presence.providers.get(provider)
        if load is not None:
            entry.foreign[provider] = max(0, load.slots - entry.own.get(provider, 0))

    def gone(self, worker: str) -> None:
        """It is known to have left, or to be dead."""
        if self._drop(worker):
            for callback in self.on_gone:
                callback(worker)

    def nobody(self, worker: str) -> None:
        """NATS says that nobody listens at its subjects: it died, or its connection broke."""
        entry = self._workers.get(worker)
        if entry is None:
            return
        now = asyncio.get_running_loop().time()
        if not entry.nobody_since:
            entry.nobody_since = now
        elif now - entry.nobody_since >= NOBODY_SECONDS and now >= self._settled:
            self.gone(worker)

    def _drop(self, worker: str) -> bool:
        if self._workers.pop(worker, None) is None:
            return False
        log.warning("worker %s is gone", worker)
        self._index()
        return True

    def _on_presence(self, message: Message) -> None:
        try:
            presence = Presence.decode(message.data)
        except ValueError as error:
            log.warning("unreadable presence: %s", error)
            return
        if presence.service != self._service:
            return
        entry = self._workers.get(presence.worker)
        if presence.state is WorkerState.GONE:
            if entry is not None and presence.seq > entry.presence.seq:
                self.gone(presence.worker)
            return
        now = asyncio.get_running_loop().time()
        if entry is None:
            entry = self._workers[presence.worker] = WorkerEntry(presence, now)
            self._index()
        elif presence.seq <= entry.presence.seq:
            return
        else:
            moved = presence.providers.keys() != entry.presence.providers.keys()
            entry.presence = presence
            if moved:
                self._index()
        entry.heard = now
        entry.nobody_since = 0.0
        for name, load in presence.providers.items():
            entry.foreign[name] = max(0, load.used - entry.own.get(name, 0))
        for callback in self.on_free:
            callback()

    def _index(self) -> None:
        made: dict[str, list[WorkerEntry]] = {}
        for entry in self._workers.values():
            for provider in entry.presence.providers:
                made.setdefault(provider, []).append(entry)
        seed = zlib.crc32(self._probe_inbox.encode())
        for entries in made.values():
            entries.sort(key=lambda entry: zlib.crc32(entry.presence.worker.encode(), seed))
        self._by_provider = made

    def _reconnected(self) -> None:
        now = asyncio.get_running_loop().time()
        self._settled = now + RETURN_SECONDS
        for entry in self._workers.values():
            entry.heard = now
        self._transport.publish(s.PRESENCE_WANTED, b"{}")

    def _on_probe(self, message: Message) -> None:
        if message.no_responders:
            self.nobody(message.subject.rpartition(".")[2])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while True:
            before = now
            await asyncio.sleep(HEARTBEAT_SECONDS)
            now = loop.time()
            stalled = now - before - HEARTBEAT_SECONDS
            if stalled > HEARTBEAT_SECONDS:
                for entry in self._workers.values():
                    entry.heard += stalled  # this process did not listen
            if not self._transport.connected:
                for entry in self._workers.values():
                    entry.heard = now
                continue
            for worker, entry in list(self._workers.items()):
                silence = now - entry.heard
                if silence > GONE_AFTER_SECONDS:
                    self._drop(worker)
                    for callback in self.on_gone if entry.nobody_since else self.on_silent:
                        callback(worker)
                elif (
                    entry.nobody_since
                    or silence > _SUSPECT_SECONDS
                    or (silence > 2 * HEARTBEAT_SECONDS and any(entry.own.values()))
                ):
                    # nobody answers a probe: the server itself says so when the worker's subscription is gone
                    self._transport.publish(s.control(worker, "probe"), b"", f"{self._probe_inbox}.{worker}")
