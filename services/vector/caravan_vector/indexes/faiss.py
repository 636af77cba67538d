"""Exact search in memory, with faiss: half-precision vectors, every one looked at."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np

from caravan_vector.indexes.copied import Copied, Copy, Numbers, Vectors


class FaissCopy:
    """A flat faiss index, whose rows are in the order of `_numbers` and `_files`."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._numbers = np.empty(0, np.int64)
        self._files = np.empty(0, np.int64)

    def add(self, numbers: Numbers, files: Numbers, vectors: Vectors) -> None:
        """At the end."""
        self._index.add(vectors.astype(np.float32))
        self._numbers = np.concatenate((self._numbers, numbers))
        self._files = np.concatenate((self._files, files))

    def discard(self, numbers: Numbers) -> None:
        """The others move up, as faiss has it."""
        places = np.flatnonzero(np.isin(self._numbers, numbers))
        if len(places):
            self._index.remove_ids(places)
            self._numbers = np.delete(self._numbers, places)
            self._files = np.delete(self._files, places)

    def numbers(self) -> Numbers:
        """In the order of the rows."""
        return self._numbers

    def nearest(self, vector: Sequence[float], limit: int, files: Sequence[int] | None) -> list[int]:
        """By looking at all rows of the files."""
        faiss.omp_set_num_threads(1)  # its threads spin, and one search at a time is what a core does best
        only = None
        if files is not None:
            chosen = np.packbits(np.isin(self._files, np.asarray(files, np.int64)), bitorder="little")
            only = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(chosen))
        _near, places = self._index.search(np.asarray([vector], np.float32), limit, params=only)
        found: list[int] = self._numbers[places[0][places[0] >= 0]].tolist()
        return found


class Faiss(Copied):
    """An :class:`caravan_vector.indexes.base.Index`."""

    name = "faiss"

    def _make(self, dimension: int) -> Copy:
        return FaissCopy(dimension)
