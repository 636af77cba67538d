"""Request and reply for control messages: one wildcard inbox, typed messages, errors as exceptions."""

from __future__ import annotations

import asyncio
import secrets
from typing import TypeVar

from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    RequestTooLarge,
    Unavailable,
)
from pydantic import BaseModel, ValidationError

from caravan_bus.transport import Message, Subscription, Transport, encode_headers

Reply = TypeVar("Reply", bound=BaseModel)


class Requester:
    """Asks any service. One per process."""

    def __init__(self, transport: Transport, user: str, instance: str) -> None:
        self._transport = transport
        self._prefix = s.inbox_prefix(user, f"{instance}-rpc") + "."
        self._pending: dict[str, asyncio.Future[Message]] = {}
        # not from 0: what a process of the same name asked before it was started again may be answered now
        self._count = secrets.randbits(48)
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe to the inbox."""
        self._transport.on_disconnect(self._lost)
        self._subscription = await self._transport.subscribe(self._prefix + "*", self._on_reply)
        await self._transport.flush()

    async def close(self) -> None:
        """Leave; whoever still waits gets DependencyDown."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        self._fail("this process is shutting down")

    async def ask(
        self,
        service: str,
        verb: str,
        request: BaseModel,
        reply: type[Reply],
        context: RequestContext,
        timeout: float = 5.0,
    ) -> Reply:
        """Send `request` to any worker of `service`. Raises the service's error, Unavailable when nobody serves it,
        DeadlineExceeded after `timeout` seconds (or the request's deadline, if that is nearer), RequestTooLarge,
        InvalidRequest for what is no JSON (too deep, half characters), and DependencyDown when the line broke
        meanwhile: then nobody knows whether it was done."""
        data = await self.exchange(s.request(service, verb), _written(request), context, timeout)
        try:
            return reply.model_validate_json(data)
        except ValidationError as error:
            what = f"{service}.{verb} answered something unreadable"
            raise CaravanError(f"{what}: {error.error_count()} errors") from error

    async def exchange(self, subject: str, body: bytes, context: RequestContext, timeout: float) -> bytes:
        """The same for JSON as it is, on a subject of whatever service."""
        service, verb = subject.split(".")[2:4]
        if not self._transport.connected and not await self._transport.wait_connected(min(timeout, 2.0)):
            raise DependencyDown("the message bus cannot be reached; try again shortly", retry_after=2)
        left = min(timeout, context.remaining)
        if left <= 0:
            raise DeadlineExceeded(f"the request's time is over before {service}.{verb} was asked")
        self._count += 1
        number = format(self._count, "x")
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            headers = encode_headers(context.to_headers())
            most = self._transport.max_payload - len(headers)
            if len(body) > most:
                raise RequestTooLarge(f"a request to {service}.{verb} may have {most} bytes, not {len(body)}")
            self._transport.publish(subject, body, self._prefix + number, headers)
            async with asyncio.timeout(left):  # unlike `wait_for` before Python 3.12 it loses no cancellation
                message = await future
        except TimeoutError as error:
            raise DeadlineExceeded(f"{service}.{verb} did not answer in {left:.1f} s") from error
        finally:
            self._pending.pop(number, None)
        if message.no_responders:
            raise Unavailable(f"no {service} worker is running; look at `caravan status`", retry_after=2)
        if h.SERVICE_ERROR_CODE in message.headers:
            raise CaravanError.from_wire(message.data)
        return message.data

    def _lost(self) -> None:
        self._fail("the line to the message bus broke before the answer came; try again shortly")

    def _fail(self, why: str) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_exception(DependencyDown(why, retry_after=2))
                future.exception()  # whoever asked may have been cancelled in this moment

    def _on_reply(self, message: Message) -> None:
        future = self._pending.get(message.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(message)


def _written(request: BaseModel) -> bytes:
    try:
        return request.model_dump_json().encode()
    except ValueError as error:  # it is nested too deeply, or has half characters
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error
