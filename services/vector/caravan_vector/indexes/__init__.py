"""Where chunks are found again: one Protocol, and what meets it.

`base` is the contract, `tables` the truth in PostgreSQL that all share, `statements` one SQL statement per search.
`pgvector` searches there, `faiss` and `qdrant` search copies (`copied`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from caravan_contracts.errors import InvalidRequest
from caravan_storage.postgres import Postgres

from caravan_vector.indexes.base import MODES, Chunk, Hit, Index, Mode, Passage, Query, Rrf, Weighted
from caravan_vector.indexes.setup import NoPgvector, prepare

DEFAULT: Final = "pgvector"
_CLASSES: Final = {"pgvector": "PgVector", "faiss": "Faiss", "qdrant": "Qdrant"}
KNOWN: Final[dict[str, frozenset[Mode]]] = dict.fromkeys(_CLASSES, MODES)
"""Every index, by its `provider_id`, with what it can do."""

__all__ = [
    "DEFAULT",
    "KNOWN",
    "Chunk",
    "Hit",
    "Index",
    "Mode",
    "NoPgvector",
    "Passage",
    "Query",
    "Rrf",
    "Weighted",
    "open_index",
    "prepare",
]


def open_index(name: str, postgres: Postgres) -> Index:
    """The index of this `provider_id`, on tables that :func:`prepare` has made. Its library is imported only now.
    Raises InvalidRequest when it is not known, or its library not installed."""
    if name not in _CLASSES:
        raise InvalidRequest(f"no index {name!r}; there are {', '.join(_CLASSES)}", param="provider_id")
    try:
        module = import_module(f"caravan_vector.indexes.{name}")
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"the index {name!r} is not installed: the vector service needs caravan-vector[{name}]", param="provider_id"
        ) from error
    return cast("Index", getattr(module, _CLASSES[name])(postgres, KNOWN))
