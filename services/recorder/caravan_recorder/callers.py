"""Whom to listen to. One subscription per caller, and none for a caller that is dead.

A worker learns that its caller died when NATS says that nobody listens at the caller's inbox any more. A recorder that
listened to all inboxes for ever would be that somebody: so it asks, by NATS service discovery, who is there, and stops
listening to whom has not answered for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Callback, Message, Subscription, Transport
from caravan_contracts import subjects as s
from caravan_contracts.channels import CHANNELS
from caravan_contracts.permissions import DISCOVERY
from caravan_contracts.users import RECORDER

log = logging.getLogger(__name__)

PING_SECONDS: Final = 1.0
GONE_SECONDS: Final = 3.5
"""Silence of a caller that used to answer after which it is taken for dead."""
IDLE_SECONDS: Final = 10.0
"""How long a caller that never answers discovery is listened to after its last request."""
STALL_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 0.3
"""After so long without another caller that answers, all of them have."""
_MUSTER_SECONDS: Final = 3.0
"""Most that a start waits for callers: there may be none yet."""
_NAME: Final = "caravan-"
_USERS: Final = frozenset(user for channel in CHANNELS if RECORDER in channel.observers for user in channel.publishers)


@dataclass(slots=True)
class _Ear:
    subscription: Subscription
    heard: float
    answers: bool


class Callers:
    """Follows the callers of the mesh, and passes on what comes to their inboxes."""

    def __init__(
        self,
        transport: Transport,
        instance: str,
        on_frame: Callback,
        on_gone: Callable[[str], None],
        busy: Callable[[], set[str]],
    ) -> None:
        """`busy` names the prefixes at which answers are under way."""
        self._transport = transport
        self._busy = busy
        self._inbox = s.inbox_prefix(RECORDER, f"{instance}-callers") + ".all"
        self._on_frame = on_frame
        self._on_gone = on_gone
        self._ears: dict[str, _Ear] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._subscription: Subscription | None = None
        self._found = asyncio.Event()

    async def start(self) -> None:
        """Listen to everybody who is there."""
        self._subscription = await self._transport.subscribe(self._inbox, self._on_answer)
        self._ping()
        await self._transport.flush()
        self._tasks = [asyncio.create_task(self._follow(), name="callers")]
        await self._muster()

    async def close(self) -> None:
        """Stop listening."""
        for task in (*self._tasks, *self._opening):
            await cancel_and_wait(task)
        for ear in self._ears.values():
            await ear.subscription.unsubscribe()
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    @property
    def known(self) -> int:
        """Callers listened to."""
        return len(self._ears)

    def knows(self, reply: str) -> bool:
        """Whether frames to `reply` are heard; if not, they will be from the next request of this caller on."""
        prefix = reply.rpartition(".")[0]
        ear = self._ears.get(prefix)
        if ear is not None:
            if not ear.answers:
                ear.heard = _now()
            return True
        user, instance = s.caller_of(reply)
        if user in _USERS:
            self._open(user, instance, answers=False)
        return False

    def _on_answer(self, message: Message) -> None:
        try:
            answer: Any = orjson.loads(message.data)
            name, instance = str(answer["name"]), str(answer["id"])
            user = name.removeprefix(_NAME)
            if not name.startswith(_NAME) or user not in _USERS:
                return
            prefix = s.inbox_prefix(user, instance)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return  # not one of ours: anybody may answer discovery
        ear = self._ears.get(prefix)
        if ear is None:
            self._open(user, instance, answers=True)
        else:
            ear.heard, ear.answers = _now(), True

    def _open(self, user: str, instance: str, answers: bool) -> None:
        prefix = s.inbox_prefix(user, instance)
        task = asyncio.create_task(self._listen(prefix, answers), name=f"listen-{prefix}")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _listen(self, prefix: str, answers: bool) -> None:
        subscription = await self._transport.subscribe(f"{prefix}.*", self._on_frame)
        if prefix in self._ears:
            await subscription.unsubscribe()
            return
        await self._transport.flush()
        self._ears[prefix] = _Ear(subscription, _now(), answers)
        self._found.set()
        log.debug("listening to %s", prefix)

    async def _muster(self) -> None:
        """Wait until those who are there have answered, so that nothing they ask from here on is half heard."""
        latest = _now() + _MUSTER_SECONDS
        patience = _MUSTER_SECONDS
        while patience > 0:
            self._found.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._found.wait()
            except TimeoutError:
                return
            patience = min(_QUIET_SECONDS, latest - _now())

    async def _follow(self) -> None:
        while True:
            before = _now()
            await asyncio.sleep(PING_SECONDS)
            now = _now()
            stalled = now - before > PING_SECONDS + STALL_SECONDS  # this machine slept: answers may wait to be read
            if stalled or not self._transport.connected:
                for ear in self._ears.values():
                    ear.heard = now
            if not self._transport.connected:
                continue
            self._ping()
            busy = self._busy()
            for prefix, ear in list(self._ears.items()):
                gone = now - ear.heard > (GONE_SECONDS if ear.answers else IDLE_SECONDS)
                if gone and (ear.answers or prefix not in busy):
                    await self._turn_away(prefix)

    async def _turn_away(self, prefix: str) -> None:
        await self._ears.pop(prefix).subscription.unsubscribe()
        self._on_gone(prefix)

    def _ping(self) -> None:
        self._transport.publish(DISCOVERY[0], b"", self._inbox)


def _now() -> float:
    return asyncio.get_running_loop().time()
