"""Vectors: ``/api/embed``, and ``/api/embeddings`` that came before it."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest, UpstreamFailed

from caravan_gateway.dialects.base import Translation, field
from caravan_gateway.dialects.chunks import answer_of
from caravan_gateway.dialects.ollama.asking import model_of
from caravan_gateway.dialects.ollama.writing import Clock, Shown


def embed(data: dict[str, Any]) -> Translation:
    """``/api/embed``. Raises InvalidRequest."""
    given = field(data, "input", (str, list))
    if given is None:
        raise InvalidRequest("'input' is missing: a text or a list of texts", param="input")
    if isinstance(given, list) and not all(isinstance(text, str) for text in given):
        raise InvalidRequest("'input' should be a text or a list of texts", param="input")
    return _translation(data, given, EmbedWriter(Shown(model_of(data))))


def embeddings(data: dict[str, Any]) -> Translation:
    """``/api/embeddings``. Raises InvalidRequest."""
    return _translation(data, field(data, "prompt", str) or "", OldEmbedWriter(Shown(model_of(data))))


def _translation(data: dict[str, Any], given: str | list[str], writer: EmbedWriter) -> Translation:
    body: dict[str, Any] = {"model": model_of(data), "input": given, "encoding_format": "float"}
    if (dimensions := field(data, "dimensions", int)) is not None:
        body["dimensions"] = dimensions
    # of nothing, Ollama makes an answer without vectors
    return Translation(orjson.dumps(body), False, writer, answer=None if given else writer.NOTHING)


class EmbedWriter:
    """For one answer of ``/api/embed``."""

    NOTHING = b'{"data":[]}'

    def __init__(self, shown: Shown, clock: Clock | None = None) -> None:
        self._shown = shown
        self._clock = clock or Clock()
        self._began = self._clock.nanoseconds()

    def feed(self, data: bytes) -> bytes:
        """Vectors do not stream."""
        return data

    def end(self) -> bytes:
        """Vectors do not stream."""
        return b""

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        data = {"data": []} if answer == self.NOTHING else answer_of(answer, "data")
        return orjson.dumps(self._written(_vectors(data), data.get("usage") or {}))

    def _written(self, vectors: list[Any], usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self._shown.model,
            "embeddings": vectors,
            "total_duration": self._clock.nanoseconds() - self._began,
            "load_duration": 0,
            "prompt_eval_count": usage.get("prompt_tokens") or 0,
        }


class OldEmbedWriter(EmbedWriter):
    """For one answer of ``/api/embeddings``."""

    def _written(self, vectors: list[Any], usage: dict[str, Any]) -> dict[str, Any]:
        return {"embedding": vectors[0] if vectors else []}


def _vectors(data: dict[str, Any]) -> list[Any]:
    """In the order of their texts. Raises UpstreamFailed."""
    try:
        return [row["embedding"] for row in sorted(data["data"], key=lambda row: int(row["index"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamFailed("the provider answered something that is no list of vectors") from error
