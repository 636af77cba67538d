"""Google's questions to a model, as dialects. Each is asked at ``models/{model}:{name}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.inference import Verb

from caravan_gateway.asgi import EVENT_STREAM, JSON, Headers
from caravan_gateway.dialects.base import Translation, Writer
from caravan_gateway.dialects.chunks import request_of
from caravan_gateway.dialects.google import asking, embedding, errors
from caravan_gateway.dialects.google.fields import record
from caravan_gateway.dialects.google.writing import ArrayWriter, ContentWriter

MODEL: Final = "model"
"""What a path names."""
ARRAY: Final[Headers] = [JSON, *(pair for pair in EVENT_STREAM if pair[0] != JSON[0])]
PING: Final = b"\n"
"""Between events, and between objects of an array; Google's own client takes a comment for a broken object."""

Reading = Callable[[dict[str, Any], str], Translation]


class Google:
    """One of them; see :class:`caravan_gateway.dialects.base.Dialect`."""

    stream_headers = EVENT_STREAM

    def __init__(self, verb: Verb, reading: Reading) -> None:
        self.verb = verb
        self._reading = reading

    def read(self, body: bytes, path: dict[str, str], headers: dict[bytes, bytes]) -> Translation:
        """See :meth:`Dialect.read`."""
        return self._reading(request_of(body), path[MODEL])

    def error(self, error: CaravanError, request_id: str) -> bytes:
        """See :meth:`Dialect.error`."""
        return errors.body_of(error)

    def event(self, error: CaravanError, writer: Writer | None) -> bytes:
        """See :meth:`Dialect.event`."""
        return (writer if isinstance(writer, ContentWriter) else ContentWriter("")).broken(error)


class GoogleArray(Google):
    """A stream as one array."""

    stream_headers = ARRAY

    def event(self, error: CaravanError, writer: Writer | None) -> bytes:
        """See :meth:`Dialect.event`."""
        return writer.broken(error) if isinstance(writer, ArrayWriter) else b",\n" + errors.body_of(error) + b"]"


def _whole(data: dict[str, Any], model: str) -> Translation:
    asked = asking.chat(data, model)
    return Translation(orjson.dumps(asked.chat), False, ContentWriter(model, asked.thoughts))


def _streaming(kind: type[ContentWriter]) -> Reading:
    def read(data: dict[str, Any], model: str) -> Translation:
        asked = asking.chat(data, model)
        body = {**asked.chat, "stream": True, "stream_options": {"include_usage": True}}
        return Translation(orjson.dumps(body), True, kind(model, asked.thoughts), ping=PING)

    return read


def _counted(data: dict[str, Any], model: str) -> Translation:
    """What is counted is the request itself, or one that is wrapped with its tools and its instruction."""
    given = record(data, "the body")
    inner = given.get("generateContentRequest")
    if inner is None and given.get("contents") is None:
        raise InvalidRequest("'contents' is missing", param="contents", code="missing_required_parameter")
    asked = asking.chat(data if inner is None else inner, model)
    return Translation(orjson.dumps(asked.chat), False, ContentWriter(model))


GENERATE: Final = Google(Verb.CHAT, _whole)
STREAM: Final = Google(Verb.CHAT, _streaming(ContentWriter))
STREAM_ARRAY: Final = GoogleArray(Verb.CHAT, _streaming(ArrayWriter))
COUNT: Final = Google(Verb.CHAT, _counted)
EMBED: Final = Google(Verb.EMBEDDINGS, embedding.one)
EMBED_MANY: Final = Google(Verb.EMBEDDINGS, embedding.many)
