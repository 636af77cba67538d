"""Texts to vectors, by whichever model a store has."""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any, Final

from caravan_bus.inference import InferenceClient
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.inference import Verb

from caravan_vector.models.asking import ask

_SECONDS: Final = 120.0
Vector = Sequence[float]


class Embedder:
    """One per process; at most `at_once` questions are under way, so that a full worker is not asked by all files."""

    def __init__(self, client: InferenceClient, at_once: int) -> None:
        self._client = client
        self._free = asyncio.Semaphore(at_once)

    async def documents(
        self, model: str, dimension: int, texts: Sequence[str], principal: Principal, name: str
    ) -> list[Vector]:
        """A vector for each text, in order. Waits for its turn. Raises what :meth:`query` raises."""
        async with self._free:
            return await self.query(model, dimension, texts, principal, name)

    async def query(
        self,
        model: str,
        dimension: int,
        texts: Sequence[str],
        principal: Principal,
        name: str,
        seconds: float = _SECONDS,
    ) -> list[Vector]:
        """A vector for each text, at once. `dimension` 0 = as the model makes them. Raises InvalidRequest when the
        model makes others, UpstreamFailed when it answers something else, and what :func:`ask` raises."""
        body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "base64"}
        answer = await ask(self._client, Verb.EMBEDDINGS, body, principal, name, seconds)
        vectors = _vectors(answer, len(texts), model)
        if dimension and vectors and len(vectors[0]) != dimension:
            raise InvalidRequest(
                f"the model {model} makes vectors of {len(vectors[0])} numbers now, but the store was made for "
                f"{dimension}",
                code="dimension_mismatch",
            )
        return vectors


def _vectors(answer: Any, count: int, model: str) -> list[Vector]:
    try:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        vectors = [_vector(row["embedding"]) for row in rows]
    except (KeyError, TypeError, ValueError, binascii.Error, struct.error) as error:
        raise UpstreamFailed(f"the model {model} answered something that is no list of vectors") from error
    if len(vectors) != count or len({len(vector) for vector in vectors}) > 1:
        raise UpstreamFailed(f"the model {model} made {len(vectors)} vectors of {count} texts, or of several lengths")
    return vectors


def _vector(value: Any) -> Vector:
    """Floats, or base64 of little-endian float32; providers need not know of the latter."""
    if isinstance(value, str):
        data = base64.b64decode(value, validate=True)
        return struct.unpack(f"<{len(data) // 4}f", data)
    return [float(number) for number in value]
