"""Ollama's four questions to a model, as dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import Verb

from caravan_gateway.asgi import Headers
from caravan_gateway.dialects.base import Translation, Writer
from caravan_gateway.dialects.chunks import request_of
from caravan_gateway.dialects.ollama import asking, embedding
from caravan_gateway.dialects.ollama.writing import ChatWriter, Shown, TextWriter

LINES: Final[Headers] = [
    (b"content-type", b"application/x-ndjson"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
PING: Final = b" "
"""Before an object, within its line: clients read each line as JSON, so that an empty one would be an error."""
_LOADED: Final = b'{"choices":[{"message":{},"finish_reason":"%s"}]}'


def body_of(error: CaravanError) -> bytes:
    """An error as Ollama writes it."""
    return orjson.dumps({"error": error.message})


class Ollama:
    """One of them; see :class:`caravan_gateway.dialects.base.Dialect`."""

    stream_headers = LINES

    def __init__(self, verb: Verb, reading: Callable[[dict[str, Any]], Translation]) -> None:
        self.verb = verb
        self._reading = reading

    def read(self, body: bytes, path: dict[str, str], headers: dict[bytes, bytes]) -> Translation:
        """See :meth:`Dialect.read`."""
        return self._reading(request_of(body))

    def error(self, error: CaravanError, request_id: str) -> bytes:
        """See :meth:`Dialect.error`."""
        return body_of(error)

    def event(self, error: CaravanError, writer: Writer | None) -> bytes:
        """See :meth:`Dialect.event`: a line of its own, and none with ``done``."""
        return body_of(error) + b"\n"


def _chat(data: dict[str, Any]) -> Translation:
    return _loading(data, ChatWriter(_shown(data))) or _asking(data, Verb.CHAT, asking.chat(data), ChatWriter)


def _generate(data: dict[str, Any]) -> Translation:
    return _loading(data, TextWriter(_shown(data))) or _asking(data, *asking.generate(data), TextWriter)


def _asking(data: dict[str, Any], verb: Verb, body: bytes, writer: type[TextWriter]) -> Translation:
    return Translation(body, asking.streams(data), writer(_shown(data)), verb, PING)


def _loading(data: dict[str, Any], writer: TextWriter) -> Translation | None:
    if not asking.is_load(data):
        return None
    leaves = data.get("keep_alive") in (0, "0", "0s")
    return Translation(b"", False, writer, answer=_LOADED % (b"unload" if leaves else b"load"))


def _shown(data: dict[str, Any]) -> Shown:
    return Shown(asking.model_of(data), data.get("think") is not False)


CHAT: Final = Ollama(Verb.CHAT, _chat)
GENERATE: Final = Ollama(Verb.CHAT, _generate)
EMBED: Final = Ollama(Verb.EMBEDDINGS, embedding.embed)
EMBEDDINGS: Final = Ollama(Verb.EMBEDDINGS, embedding.embeddings)
