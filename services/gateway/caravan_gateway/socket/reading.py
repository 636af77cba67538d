"""What a client sends over a socket, and what of an answer becomes a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError, InvalidJSON, InvalidRequest, NotFound

_NOT_HERE: Final = {
    "background": "a response over a WebSocket is not made in the background",
    "stream_id": "this server makes one response after the other on a connection",
}


class PreviousNotFound(InvalidRequest):
    """The response to go on from is neither stored nor known to this connection."""

    code = "previous_response_not_found"


def read_create(text: str) -> dict[str, Any]:
    """The body that POST /v1/responses would have, and perhaps `generate`, of a ``response.create``. Raises
    InvalidJSON, InvalidRequest."""
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the message is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise InvalidJSON("the message is a JSON object")
    kind = told.pop("type", None)
    if kind != "response.create":
        raise InvalidRequest("'type' should be 'response.create'", param="type", code="unsupported_value")
    for name, why in _NOT_HERE.items():
        if told.pop(name, None):
            raise InvalidRequest(f"'{name}': {why}", param=name, code="unsupported_value")
    previous = told.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise InvalidRequest("'previous_response_id' should be a string", param="previous_response_id")
    return {**told, "stream": True}


class Events:
    """Cuts an answer's bytes into the data of its events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The JSON of each event that is whole now."""
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        for event in whole:
            for line in event.split(b"\n"):
                if line.startswith(b"data: "):
                    yield line[6:]


def envelope(error: CaravanError) -> str:
    """An error as this API says it over a socket."""
    if isinstance(error, NotFound) and error.param == "previous_response_id":
        error = PreviousNotFound(error.message, param=error.param)
    return orjson.dumps({"type": "error", "status": error.status, **error.to_body()}).decode()
