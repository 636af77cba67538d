"""What a dialect is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.inference import Verb

from caravan_gateway.asgi import Headers
from caravan_gateway.watch import PING


class Writer(Protocol):
    """Turns one answer in OpenAI's shape into the dialect's. Made for each request, so it may keep what it needs.

    `feed` and `end` are of a stream: `feed` is given bytes as they come, cut anywhere, and returns what can be said by
    now (b"" is fine). `whole` is of an answer that does not stream.
    """

    def feed(self, data: bytes) -> bytes:
        """Bytes of the dialect's stream."""
        ...

    def end(self) -> bytes:
        """After a good end: the last bytes of the dialect's stream."""
        ...

    def whole(self, answer: bytes) -> bytes:
        """The body of an answer that does not stream. Raises UpstreamFailed for what is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Translation:
    """A request, as OpenAI would be asked."""

    body: bytes
    """JSON of ``/v1/chat/completions``, ``/v1/completions`` or ``/v1/embeddings``: of the route's verb."""
    stream: bool
    writer: Writer
    verb: Verb | None = None
    """Of this request, when it is not the dialect's."""
    ping: bytes = PING
    """What a stream of this dialect may hold between two of its events, and means nothing there."""
    answer: bytes | None = None
    """In OpenAI's shape, of a request that nobody has to be asked for: read by the writer as any other."""


class Dialect(Protocol):
    """One API of somebody else."""

    verb: Verb
    """What is asked for: one class for each."""
    stream_headers: Headers
    """Of a stream that begins, such as :data:`caravan_gateway.asgi.EVENT_STREAM`."""

    def read(self, body: bytes, path: dict[str, str], headers: dict[bytes, bytes]) -> Translation:
        """The request of a client; `path` has what its URL named. Raises InvalidRequest, whose `param` is the field
        in the dialect's own words."""
        ...

    def error(self, error: CaravanError, request_id: str) -> bytes:
        """The body of an answer that failed; its status is the error's."""
        ...

    def event(self, error: CaravanError, writer: Writer | None) -> bytes:
        """The end of a stream that broke: nothing that a client could take for a good end."""
        ...


def field(data: Any, name: str, kind: type | tuple[type, ...], where: str = "") -> Any:
    """``data[name]``, None when it is missing or null. Raises InvalidRequest when it is of another kind."""
    value = data.get(name)
    if value is None or (isinstance(value, kind) and not (isinstance(value, bool) and bool not in _kinds(kind))):
        return value
    param = f"{where}.{name}" if where else name
    names = " or ".join(_NAMES.get(each, each.__name__) for each in _kinds(kind))
    raise InvalidRequest(f"'{param}' should be {names}", param=param, code="invalid_type")


def missing(param: str) -> InvalidRequest:
    """The error for a field that has to be there."""
    return InvalidRequest(f"'{param}' is missing", param=param, code="missing_required_parameter")


_NAMES = {
    str: "a string",
    dict: "an object",
    list: "a list",
    bool: "true or false",
    int: "an integer",
    float: "a number",
}


def _kinds(kind: type | tuple[type, ...]) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)
