"""One connection to the bus, shared by every resource of a client."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_client.address import Address
from caravan_client.asking import Asking, Request
from caravan_client.errors import APIConnectionError, status_error
from caravan_client.inbox import ClientInbox

if TYPE_CHECKING:
    from caravan_bus.nats import NatsTransport
    from caravan_bus.requests import Requester

_TAKEN: Final = {
    "x-request-id": h.REQUEST_ID,
    "traceparent": h.TRACEPARENT,
    "tracestate": h.TRACESTATE,
    "idempotency-key": h.IDEMPOTENCY_KEY,
}
"""Headers of a call that have a place on the bus; others have no reader there."""
TOTAL: Final = "x-caravan-timeout"
"""The gateway's header for the seconds that a whole answer may take."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be asked of a service."""

    service: str
    verb: str
    body: bytes
    headers: Mapping[str, str]
    """The caller's, by their names in HTTP."""
    own: Mapping[str, str] = field(default_factory=dict)
    """Of the bus, beside those."""


class Line:
    """Connects at its first use; reconnects by itself."""

    def __init__(self, address: Address, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._instance = f"client-{secrets.token_hex(4)}"
        self._transport: NatsTransport | None = None
        self._inbox: ClientInbox | None = None
        self._requester: Requester | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def open_streams(self) -> int:
        """Answers under way."""
        return self._inbox.open_streams if self._inbox is not None else 0

    async def connect(self) -> tuple[NatsTransport, ClientInbox]:
        """The connection, made if there is none. Raises APIConnectionError."""
        if self._inbox is not None and self._transport is not None:
            return self._transport, self._inbox
        async with self._connecting:
            if self._inbox is not None and self._transport is not None:
                return self._transport, self._inbox
            if self._closed:
                raise APIConnectionError("this client was closed")
            from caravan_bus.nats import NatsOptions, connect  # nine tenths of what importing this package would cost

            address = self._address
            options = NatsOptions(address.url, address.user, address.seed, self._instance)
            transport = None
            try:
                transport = await connect(options, self._patience)
                inbox = ClientInbox(transport, address.user, address.tenant, self._instance)
                await inbox.start()
            except BaseException as error:
                if transport is not None:
                    await transport.close()
                if isinstance(error, DependencyDown):
                    raise APIConnectionError(error.message) from error
                raise
            self._transport, self._inbox = transport, inbox
            return transport, inbox

    async def close(self) -> None:
        """Give up what is under way and leave."""
        self._closed = True
        inbox, self._inbox = self._inbox, None
        transport, self._transport = self._transport, None
        requester, self._requester = self._requester, None
        if requester is not None:
            await requester.close()
        if inbox is not None:
            await inbox.close()
        if transport is not None:
            await transport.close()

    def asking(self, call: Call, timeout: float, total: float | None = None) -> Asking:
        """To be sent. `timeout` is for each wait, `total` for the answer as a whole (`timeout`, if there is none)."""
        address = self._address
        sent = {**_headers(call.headers), **call.own}
        request = Request(
            s.entry(call.service, call.verb, address.tenant, address.user),
            call.body,
            sent,
            sent[h.REQUEST_ID],
            time.monotonic() + (_total(call.headers) or total or timeout),
            timeout,
        )
        return Asking(self.connect, request)

    async def exchange(self, call: Call, timeout: float) -> tuple[bytes, str]:
        """The answer to one message, and the request's id. Raises APIError."""
        transport, _ = await self.connect()
        requester = await self._asking_for_one(transport)
        address, sent = self._address, _headers(call.headers)
        context = RequestContext(
            sent[h.REQUEST_ID],
            Principal(address.tenant, address.user),
            time.monotonic() + (_total(call.headers) or timeout),
            sent.get(h.TRACEPARENT, ""),
            sent.get(h.TRACESTATE, ""),
        )
        subject = s.entry(call.service, call.verb, address.tenant, address.user)
        try:
            return await requester.exchange(subject, call.body, context, context.remaining), context.request_id
        except CaravanError as error:
            raise status_error(error, context.request_id) from error

    async def _asking_for_one(self, transport: NatsTransport) -> Requester:
        async with self._connecting:
            if self._requester is None:
                from caravan_bus.requests import Requester

                requester = Requester(transport, self._address.user, self._instance)
                await requester.start()
                self._requester = requester
            return self._requester


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    sent = _trace()
    for name, value in given.items():
        taken = _TAKEN.get(name.lower())
        if taken is not None:
            sent[taken] = value
    sent.setdefault(h.REQUEST_ID, f"req_{secrets.token_hex(16)}")
    return sent


def _total(headers: Mapping[str, str]) -> float | None:
    return next((float(value) for name, value in headers.items() if name.lower() == TOTAL), None)


def _trace() -> dict[str, str]:
    """The caller's span, if it uses OpenTelemetry at all."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return {name: carrier[name] for name in (h.TRACEPARENT, h.TRACESTATE) if name in carrier}
