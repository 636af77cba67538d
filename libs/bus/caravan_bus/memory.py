"""The in-memory twin of NATS: same Protocol, same rules, one process. For tests and for trying things out."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from caravan_contracts.errors import DependencyDown

from caravan_bus.transport import Callback, Message, Subscription, call_all

_NO_RESPONDERS = b"NATS/1.0 503\r\n\r\n"


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription to `pattern` hears `subject` (NATS wildcards ``*`` and ``>``)."""
    wanted, given = pattern.split("."), subject.split(".")
    for i, part in enumerate(wanted):
        if part == ">":
            return len(given) > i
        if i >= len(given) or part not in ("*", given[i]):
            return False
    return len(wanted) == len(given)


class MemoryHub:
    """The server. `stop` loses what is under way and disconnects everybody; `start` lets them come back."""

    def __init__(self, max_payload: int = 1024 * 1024) -> None:
        self.max_payload = max_payload
        self.up = True
        self.lose: Callable[[Message], bool] = lambda message: False
        """A message for which this is true is lost on its way: the fault to test with."""
        self._members: list[MemoryTransport] = []
        self._queue: deque[tuple[_MemorySubscription, Message]] = deque()
        self._scheduled = False

    def connect(self) -> MemoryTransport:
        """A new connection."""
        made = MemoryTransport(self)
        self._members.append(made)
        return made

    def stop(self) -> None:
        """The server dies."""
        self.up = False
        self._queue.clear()
        for member in list(self._members):
            call_all(member._disconnected)

    def start(self) -> None:
        """The server is back."""
        self.up = True
        for member in list(self._members):
            member._came_back()

    def leave(self, member: MemoryTransport) -> None:
        """A connection closed."""
        if member in self._members:
            self._members.remove(member)

    def route(self, message: Message) -> None:
        """Deliver to everybody interested, one member of each queue group; tell a requester when nobody is."""
        if not self.up or self.lose(message):
            return
        groups: dict[str, list[_MemorySubscription]] = {}
        heard = False
        for member in self._members:
            for sub in member._subscriptions:
                if matches(sub.subject, message.subject):
                    heard = True
                    if sub.queue:
                        groups.setdefault(sub.queue, []).append(sub)
                    else:
                        self._queue.append((sub, message))
        for subs in groups.values():
            self._queue.append((random.choice(subs), message))
        if not heard and message.reply:
            self.route(Message(message.reply, b"", "", _NO_RESPONDERS))
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        for _ in range(len(self._queue)):
            if not self._queue:
                break
            sub, message = self._queue.popleft()
            if sub.active:
                sub.callback(message)
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)


class _MemorySubscription:
    def __init__(self, owner: MemoryTransport, subject: str, callback: Callback, queue: str) -> None:
        self.owner, self.subject, self.callback, self.queue = (
            owner,
            subject,
            callback,
            queue,
        )
        self.active = True

    async def unsubscribe(self) -> None:
        self.active = False
        if self in self.owner._subscriptions:
            self.owner._subscriptions.remove(self)


class MemoryTransport:
    """One connection to a :class:`MemoryHub`."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._subscriptions: list[_MemorySubscription] = []
        self._reconnected: list[Callable[[], None]] = []
        self._disconnected: list[Callable[[], None]] = []
        self._up = asyncio.Event()
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._hub.up and not self._closed

    @property
    def max_payload(self) -> int:
        return self._hub.max_payload

    def publish(self, subject: str, data: bytes, reply: str = "", header_block: bytes = b"") -> None:
        if not self.connected:
            return
        size = len(data) + len(header_block)
        if size > self.max_payload:
            raise ValueError(f"a message of {size} bytes is over the server's limit of {self.max_payload}")
        self._hub.route(Message(subject, data, reply, header_block))

    def at_turn_end(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        made = _MemorySubscription(self, subject, callback, queue)
        self._subscriptions.append(made)
        return made

    async def flush(self, timeout: float = 5.0) -> None:
        if not self.connected:
            raise DependencyDown("the in-memory hub is stopped")
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what waited for one turn more

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        self._disconnected.append(callback)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnected.append(callback)

    async def wait_connected(self, timeout: float) -> bool:
        if self.connected:
            return True
        self._up.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._closed = True
        self._subscriptions.clear()
        self._hub.leave(self)

    def _came_back(self) -> None:
        self._up.set()
        call_all(self._reconnected)
