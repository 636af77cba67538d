"""The last word when a gateway ends before an answer does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from caravan_bus import tracing
from caravan_contracts.errors import CaravanError, Unavailable

from caravan_gateway import asgi
from caravan_gateway.asgi import Send


def _event(error: CaravanError) -> bytes:
    return b"data: " + error.to_json() + b"\n\n"


async def cut_off(
    send: Send,
    whole: Callable[[CaravanError, str], bytes] = lambda error, _: error.to_json(),
    event: Callable[[CaravanError], bytes] = _event,
    id_headers: tuple[bytes, ...] = asgi.ID_HEADERS,
) -> None:
    """An error with its status, or, when the answer has begun, an event. A stream that was simply cut would leave its
    client to guess. `whole` is the body of the error with the request's id, `event` the end of a stream; `id_headers`
    are what that id is called."""
    error = Unavailable("the server is shutting down; send the request again", retry_after=1, code="server_shutdown")
    request_id = "req_" + tracing.new_id()
    headers = [*asgi.error_headers(error), (b"connection", b"close"), *asgi.named(request_id, id_headers)]
    try:
        await asgi.send_json(send, error.status, whole(error, request_id), headers)
    except RuntimeError:  # uvicorn's word for an answer that has begun
        with contextlib.suppress(RuntimeError):  # and for one whose length is promised already
            await send({"type": "http.response.body", "body": event(error)})
