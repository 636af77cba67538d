"""The little of HTTP that the hot routes need, straight on ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from caravan_contracts.errors import CaravanError, ClientGone, InvalidRequest, RequestTooLarge

from caravan_gateway import limits
from caravan_gateway.stepping import Step

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
ID_HEADERS = (b"x-request-id",)
EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class BodyTimeout(InvalidRequest):
    """The client did not send its body in time."""

    status = 408
    code = "request_timeout"


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int, timeout: float) -> bytes:
    """The whole body. Raises RequestTooLarge, BodyTimeout, ClientGone."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise RequestTooLarge(f"the body has {int(length)} bytes; at most {limit} are taken")
    step = Step(receive())  # most bodies are there already
    if step.done and not step.value.get("more_body", False) and step.value["type"] != "http.disconnect":
        return _bounded(step.value.get("body", b""), 0, limit)
    try:
        async with asyncio.timeout(timeout):
            return await _read_on(step.value if step.done else await step.rest(), receive, limit)
    except TimeoutError as error:
        raise BodyTimeout(f"the body did not arrive within {timeout:g} s") from error


async def _read_on(event: Event, receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if event["type"] == "http.disconnect":
            raise ClientGone("the client went away before its body was complete")
        part = _bounded(event.get("body", b""), size, limit)
        size += len(part)
        parts.append(part)
        if not event.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
        event = await receive()


def _bounded(part: bytes, before: int, limit: int) -> bytes:
    if before + len(part) > limit:
        raise RequestTooLarge(f"the body is over {limit} bytes")
    return part


def named(request_id: str, names: tuple[bytes, ...]) -> Headers:
    """The headers of these names that say which request it was."""
    value = request_id.encode()
    return [(name, value) for name in names]


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One JSON answer."""
    sized = [JSON, (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})


def error_headers(error: CaravanError) -> Headers:
    """What an error says beside its body: when to try again, whether at all, and which limit was reached."""
    made: Headers = limits.of_error(error)
    if error.retry_after is not None:
        made.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
        made.append((b"retry-after-ms", str(int(error.retry_after * 1000)).encode()))
    if error.code == "insufficient_quota" or error.status == 409:
        made.append((b"x-should-retry", b"false"))
    if error.status == 408:
        made.append((b"connection", b"close"))  # the rest of that body may never come
    if error.status == 401:
        made.append((b"www-authenticate", b"Bearer"))
    return made
