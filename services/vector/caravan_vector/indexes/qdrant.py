"""Qdrant's client in its local mode, which needs no server: a copy in the memory of this process.

It is there for those who want to try Qdrant's client on a machine of their own. It looks at every vector, in Python;
faiss does the same several times as fast.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from qdrant_client import QdrantClient, models

from caravan_vector.indexes.copied import Copied, Copy, Numbers, Vectors

_COLLECTION = "chunks"


class QdrantCopy:
    """One collection; points are named by the numbers of chunks."""

    def __init__(self, dimension: int) -> None:
        self._client = QdrantClient(":memory:")
        self._client.create_collection(
            _COLLECTION, vectors_config=models.VectorParams(size=dimension, distance=models.Distance.DOT)
        )
        self._numbers = np.empty(0, np.int64)

    def add(self, numbers: Numbers, files: Numbers, vectors: Vectors) -> None:
        """With the file as payload."""
        points = [
            models.PointStruct(id=number, vector=vector, payload={"file": file})
            for number, file, vector in zip(
                numbers.tolist(), files.tolist(), vectors.astype(np.float32).tolist(), strict=True
            )
        ]
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that many are better kept on a server
            self._client.upsert(_COLLECTION, points)
        self._numbers = np.concatenate((self._numbers, numbers))

    def discard(self, numbers: Numbers) -> None:
        """Those that are there."""
        gone = np.intersect1d(self._numbers, numbers)
        if len(gone):
            self._client.delete(_COLLECTION, models.PointIdsList(points=gone.tolist()))
            self._numbers = np.setdiff1d(self._numbers, gone)

    def numbers(self) -> Numbers:
        """In no order."""
        return self._numbers

    def nearest(self, vector: Sequence[float], limit: int, files: Sequence[int] | None) -> list[int]:
        """By the client's own filter."""
        only = None
        if files is not None:
            only = models.Filter(must=[models.FieldCondition(key="file", match=models.MatchAny(any=list(files)))])
        found = self._client.query_points(_COLLECTION, query=list(vector), limit=limit, query_filter=only)
        return [int(point.id) for point in found.points]


class Qdrant(Copied):
    """An :class:`caravan_vector.indexes.base.Index`."""

    name = "qdrant"
    bytes_per_number = 4

    def _make(self, dimension: int) -> Copy:
        return QdrantCopy(dimension)
