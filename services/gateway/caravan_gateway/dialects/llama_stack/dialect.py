"""What the dialects of this folder share: errors are OpenAI's, in streams too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import orjson
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import Verb

from caravan_gateway.asgi import EVENT_STREAM
from caravan_gateway.dialects.base import Translation
from caravan_gateway.dialects.base import Writer as Codec
from caravan_gateway.dialects.llama_stack import options
from caravan_gateway.dialects.llama_stack.generations import Generation


class Writer(Codec, Protocol):
    """A writer whose answers can be put together."""

    def answer(self, answer: bytes) -> dict[str, Any]:
        """What :meth:`whole` writes."""
        ...


class Spoken(ABC):
    """One path of one generation; see :class:`caravan_gateway.dialects.base.Dialect`."""

    verb: Verb
    stream_headers = EVENT_STREAM

    def __init__(self, generation: Generation) -> None:
        self.generation = generation

    def read(self, body: bytes, path: dict[str, str], headers: dict[bytes, bytes]) -> Translation:
        """Whether it streams is said by the field: clients of the first two generations always accept a stream."""
        return self.translated(options.read(body))

    def translated(self, data: dict[str, Any]) -> Translation:
        """A request that was read. Raises InvalidRequest."""
        asked = self.asked(data)
        return Translation(orjson.dumps(asked), asked.get("stream") is True, self.writer())

    @abstractmethod
    def asked(self, data: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's request. Raises InvalidRequest."""

    @abstractmethod
    def writer(self) -> Writer:
        """For its answer."""

    def error(self, error: CaravanError, request_id: str) -> bytes:
        """See :meth:`Dialect.error`."""
        return error.to_json()

    def event(self, error: CaravanError, writer: Codec | None) -> bytes:
        """An event that is neither `progress` nor `complete`."""
        return b"data: " + error.to_json() + b"\n\n"


class OneAnswer(ABC):
    """A writer of answers that never stream."""

    def feed(self, data: bytes) -> bytes:
        """Never called."""
        return b""

    def end(self) -> bytes:
        """Never called."""
        return b""

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Codec.whole`."""
        return orjson.dumps(self.answer(answer))

    @abstractmethod
    def answer(self, answer: bytes) -> dict[str, Any]:
        """What :meth:`whole` writes. Raises UpstreamFailed."""
