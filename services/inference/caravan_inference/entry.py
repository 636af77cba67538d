"""The door for foreign NATS clients: plain messages, any language, no header needed.

A request on ``caravan.v1.inference.<verb>.<tenant>.<user>`` is OpenAI's JSON. The answer comes to its reply inbox:
SSE events (or one JSON body) as plain messages, an empty message as the end, an error as one message with the
headers of the NATS service protocol. Who asks is said by the subject: the credentials of the bus user allow no other.
The worker that hears the request forwards it to one with a free slot, itself or another.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from caravan_bus.discovery import EndpointStats
from caravan_bus.inference import InferenceClient
from caravan_bus.transport import Message, Subscription, Transport, encode_headers
from caravan_contracts import channels
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, ClientGone, Overloaded, PermissionDenied, StreamInterrupted
from caravan_contracts.inference import SERVICE, Verb

log = logging.getLogger(__name__)

LIMIT: Final = 256
"""Foreign requests one worker relays at once."""
MAX_MESSAGE: Final = 256 * 1024
MAX_ANSWER: Final = 64 * 1024 * 1024
RECONNECT_SECONDS: Final = 10.0
"""How long the last word of an answer is held back while the bus is gone."""


class ForeignEntry:
    """Relays foreign requests."""

    def __init__(self, transport: Transport, client: InferenceClient) -> None:
        self._transport = transport
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._breaks = 0
        """How often the line came back: plain messages have no numbers, so what was lost meanwhile is lost."""
        self._subscriptions: list[Subscription] = []
        self.stats = {verb.value: EndpointStats() for verb in Verb}

    async def start(self) -> None:
        """Open the door."""
        self._transport.on_reconnect(self._came_back)
        for verb in Verb:
            self._subscriptions.append(
                await self._transport.subscribe(s.entry_wildcard(SERVICE, verb.value), self._on_request, SERVICE)
            )

    async def drain(self, timeout: float) -> None:
        """Close it, and finish what is under way."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()

    def _on_request(self, message: Message) -> None:
        tenant, user = s.entry_identity(message.subject)
        owner = s.owner_of(message.reply)
        if owner != user and owner != channels.OPERATOR:
            # answering would let one bus user write into the inbox of another
            log.warning("a request of bus user %s named an inbox that is not its own", user)
            return
        if len(self._tasks) >= LIMIT:
            self._refuse(message.reply, Overloaded(f"{LIMIT} foreign requests are under way here", retry_after=1))
            return
        task = asyncio.create_task(self._relay(message, tenant, user))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, message: Message, tenant: str, user: str) -> None:
        verb = message.subject.split(".")[3]
        stats = self.stats[verb]
        stats.requests += 1
        began = asyncio.get_running_loop().time()
        try:
            await self._answer(Verb(verb), message, Principal(tenant, user, ("user",)))
        except CaravanError as error:
            stats.errors += 1
            stats.last_error = error.message[:200]
            self._refuse(message.reply, error)
        except Exception as error:
            log.exception("a foreign request failed")
            stats.errors += 1
            stats.last_error = type(error).__name__
            self._refuse(message.reply, CaravanError(f"the worker failed: {type(error).__name__}"))
        finally:
            stats.processing_ns += int((asyncio.get_running_loop().time() - began) * 1e9)

    async def _answer(self, verb: Verb, message: Message, principal: Principal) -> None:
        if message.headers.get(h.PRINCIPAL):
            raise PermissionDenied(f"the header {h.PRINCIPAL} is for services; your credentials say who you are")
        given = RequestContext.from_headers(message.headers)
        context = RequestContext(
            given.request_id or s.stream_of(message.reply),
            principal,
            given.deadline,
            given.traceparent,
            given.tracestate,
            given.idempotency_key,
        )
        breaks = self._breaks
        asked = await self._client.ask(verb, message.data, context)
        stream = asked.stream
        try:
            if asked.facts.stream:
                while data := await stream.read():
                    self._send(message.reply, data)
                await self._transport.wait_connected(RECONNECT_SECONDS)
            else:
                answer = await stream.read_all(MAX_ANSWER)
                await self._transport.wait_connected(RECONNECT_SECONDS)
                self._send(message.reply, answer)
        except asyncio.CancelledError:
            raise ClientGone("the worker is shutting down") from None
        finally:
            await self._client.finish(asked)
        if asked.facts.stream and self._breaks != breaks:
            raise StreamInterrupted("the bus was gone for a while: parts of the answer are missing; ask again")
        self._transport.publish(message.reply, b"")

    def _came_back(self) -> None:
        self._breaks += 1

    def _send(self, reply: str, data: bytes) -> None:
        for start in range(0, len(data), MAX_MESSAGE):
            self._transport.publish(reply, data[start : start + MAX_MESSAGE])

    def _refuse(self, reply: str, error: CaravanError) -> None:
        headers = {h.SERVICE_ERROR_CODE: str(error.status), h.SERVICE_ERROR: " ".join(error.message.split())[:500]}
        self._transport.publish(reply, error.to_json(), "", encode_headers(headers))
