"""A work queue in JetStream."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.errors import DependencyDown, RequestTooLarge, Unavailable
from caravan_contracts.work import DELIVERIES, INLINE_BYTES, JOB_ID, PARTS, REASON, Queue

from caravan_bus.transport import Message, Subscription
from caravan_bus.work import parts
from caravan_bus.work.api import JetStream, JetStreamError
from caravan_bus.work.declare import declare
from caravan_bus.work.queue import Delivery, Depth, Job, QueueFull

log = logging.getLogger(__name__)

_PULL_SECONDS: Final = 10.0
_NANO: Final = 1_000_000_000
_TAKE_BYTES: Final = 8 * 1024**2
"""After so many bytes a worker is asked whether it has room for more."""
_POLL_FIRST: Final = 0.005
_POLL_LONGEST: Final = 0.1
_ENDED: Final = ("404", "408", "409")
"""Statuses after which nothing more comes of a pull; the last of them is not asked again at once."""
_ACK_FIELDS: Final = 9
"""Tokens of ``$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>``; a newer form
has two more behind ACK."""


class JetStreamQueue:
    """See :class:`caravan_bus.work.queue.WorkQueue`."""

    def __init__(self, api: JetStream, spec: Queue) -> None:
        self._api = api
        self._spec = spec
        self._inbox = api.inbox(spec.name)
        self._came: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._pull = 0
        self._open = 0
        """Jobs that may still come of the pull under way."""
        self._until = 0.0
        self._missing = False
        self._subscription: Subscription | None = None
        api.transport.on_reconnect(self._forget_pull)

    @property
    def spec(self) -> Queue:
        return self._spec

    @property
    def connected(self) -> bool:
        return self._api.transport.connected

    async def declare(self) -> None:
        await declare(self._api, self._spec)

    def send(self, job: Job) -> asyncio.Future[None]:
        headers = {**job.headers, JOB_ID: job.id}
        if len(job.data) > self._spec.max_job:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(
                RequestTooLarge(f"a job of {len(job.data)} bytes; the queue takes {self._spec.max_job}")
            )
            return failed
        if len(job.data) > INLINE_BYTES and self._spec.max_parts_bytes:
            return asyncio.ensure_future(self._send_in_parts(job, headers))
        sent = self._api.publish_now(self._spec.subject, job.data, headers)
        return asyncio.ensure_future(self._kept(sent))

    async def _send_in_parts(self, job: Job, headers: dict[str, str]) -> None:
        try:
            headers[PARTS] = await parts.send(self._api, self._spec, job)
        except JetStreamError as error:
            raise self._refused(error) from error
        await self._kept(self._api.publish_now(self._spec.subject, b"", headers))

    async def _kept(self, sent: asyncio.Future[Message]) -> None:
        try:
            await self._api.acknowledged(sent)
        except JetStreamError as error:
            raise self._refused(error) from error

    def _refused(self, error: JetStreamError) -> Exception:
        return QueueFull(f"the queue {self._spec.name} is full", retry_after=5) if error.full else error

    async def take(self, limit: int, timeout: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        if self._subscription is None:
            self._subscription = await self._api.transport.subscribe(self._inbox + ".*", self._on_message)
        while not self._came:
            if self._missing:
                self._missing = False
                self._forget_pull()
                raise Unavailable(f"the queue {self._spec.name} is not there", retry_after=1)
            now = loop.time()
            if now >= until:
                return []
            if self._open <= 0 or now >= self._until:
                await self._ask(limit)
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.001, min(until, self._until) - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue
        made: list[Delivery] = []
        size = 0
        while self._came and len(made) < limit and size < _TAKE_BYTES:
            message = self._came.popleft()
            delivery = await self._read(message)
            if delivery is not None:
                made.append(delivery)
                size += len(delivery.data)
        return made

    async def _ask(self, limit: int) -> None:
        """One pull at a time: what came of it never exceeds the room its caller has."""
        transport = self._api.transport
        if not transport.connected and not await transport.wait_connected(_PULL_SECONDS):
            raise DependencyDown("the message bus cannot be reached", retry_after=2)
        self._pull += 1
        self._open = limit
        self._until = asyncio.get_running_loop().time() + _PULL_SECONDS + 2
        request = orjson.dumps({"batch": limit, "expires": int(_PULL_SECONDS * _NANO)})
        subject = f"{s.JETSTREAM_API}.CONSUMER.MSG.NEXT.{self._spec.stream}.{self._spec.worker}"
        transport.publish(subject, request, f"{self._inbox}.{self._pull}")

    def _on_message(self, message: Message) -> None:
        if message.reply:
            self._open -= 1
            self._came.append(message)
            self._wake.set()
            return
        if not message.subject.endswith(f".{self._pull}"):
            return  # the end of an earlier pull
        if message.no_responders:
            self._missing = True
            self._wake.set()
        elif message.headers.get(h.STATUS) in _ENDED:
            self._open = 0
            self._until = asyncio.get_running_loop().time()
            if message.headers[h.STATUS] == _ENDED[-1]:  # the server leaves, or too many ask: not in a busy loop
                self._open, self._until = 1, self._until + 1.0
            self._wake.set()

    async def _read(self, message: Message) -> _Delivery | None:
        """A job with its parts together; None when it had to be given back."""
        delivery = _Delivery(self._api, self._spec, message)
        told = message.headers.get(PARTS)
        if told is None:
            return delivery
        try:
            delivery.data = await parts.fetch(self._api, self._spec, delivery.id, told)
        except parts.PartsLost as error:
            # its publisher may be about to send them again
            log.warning("%s", error.message)
            if delivery.number < self._spec.max_deliver:
                delivery.again(1.0)
            else:
                await delivery.bury(error.message)
            return None
        except (DependencyDown, JetStreamError) as error:
            log.info("a large job cannot be read now: %s", error.message)
            delivery.again(1.0)
            return None
        return delivery

    async def release(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.unsubscribe()
        while self._came:
            _Delivery(self._api, self._spec, self._came.popleft()).again()
        self._forget_pull()

    def _forget_pull(self) -> None:
        self._open = 0
        self._wake.set()

    async def depth(self) -> Depth:
        info = await self._consumer()
        return Depth(int(info["num_pending"]), int(info["num_ack_pending"]))

    async def caught_up(self, timeout: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        last = int((await self._api.ask(f"STREAM.INFO.{self._spec.stream}"))["state"]["last_seq"])
        pause = _POLL_FIRST
        while True:
            info = await self._consumer()
            if info["num_pending"] + info["num_ack_pending"] == 0 or info["ack_floor"]["stream_seq"] >= last:
                return True
            if loop.time() + pause > until:
                return False
            await asyncio.sleep(pause)
            pause = min(_POLL_LONGEST, pause * 1.5)

    async def _consumer(self) -> dict[str, Any]:
        return await self._api.ask(f"CONSUMER.INFO.{self._spec.stream}.{self._spec.worker}")


class _Delivery:
    """Its reply subject says which it is, and how often it came."""

    __slots__ = ("_api", "_message", "_spec", "data", "headers", "id", "number")

    def __init__(self, api: JetStream, spec: Queue, message: Message) -> None:
        self._api = api
        self._spec = spec
        self._message = message
        self.headers: Mapping[str, str] = message.headers
        fields = message.reply.split(".")
        at = 4 if len(fields) == _ACK_FIELDS else 6
        self.number = int(fields[at])
        self.id = self.headers.get(JOB_ID) or f"seq-{fields[at + 1]}"
        self.data = message.data

    @property
    def job(self) -> Job:
        return Job(self.id, self.data, self.headers)

    def working(self) -> None:
        self._say(b"+WPI")

    def done(self) -> None:
        self._say(b"+ACK")
        if PARTS in self.headers:
            self._drop_parts()

    def again(self, delay: float = 0.0) -> None:
        self._say(b"-NAK " + orjson.dumps({"delay": int(delay * _NANO)}) if delay > 0 else b"-NAK")

    async def bury(self, reason: str) -> None:
        line = " ".join(reason.split()).encode("ascii", "replace").decode()[:400]
        headers = {k: v for k, v in self.headers.items() if k != h.STATUS}
        headers |= {REASON: line, DELIVERIES: str(self.number)}
        # a large one leaves its bytes where they are, until their time is over
        data = self.data if PARTS not in self.headers else b""
        await self._api.publish(self._spec.dead_subject, data, headers)
        self._say(b"+TERM")

    def _say(self, word: bytes) -> None:
        self._api.transport.publish(self._message.reply, word)

    def _drop_parts(self) -> None:
        body = orjson.dumps({"filter": s.work_parts(self._spec.name, self.id)})
        self._api.transport.publish(f"{s.JETSTREAM_API}.STREAM.PURGE.{self._spec.parts_stream}", body)
