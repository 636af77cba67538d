"""The little of HTTP that the hot routes need, straight on ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from caravan_contracts.errors import CaravanError, ClientGone, InvalidRequest, RequestTooLarge

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
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
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientGone("the client went away before its body was complete")
                part: bytes = event.get("body", b"")
                size += len(part)
                if size > limit:
                    raise RequestTooLarge(f"the body is over {limit} bytes")
                parts.append(part)
                if not event.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError as error:
        raise BodyTimeout(f"the body did not arrive within {timeout:g} s") from error


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One JSON answer."""
    sized = [JSON, (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})


def error_headers(error: CaravanError) -> Headers:
    """What an error says beside its body: when to try again, and whether at all."""
    made: Headers = []
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
