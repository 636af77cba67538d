"""Errors of the vector service."""

from __future__ import annotations

from caravan_contracts.errors import InvalidRequest, NotFound


class StoreExpired(InvalidRequest):
    """The store was not used for as long as its `expires_after` says."""

    code = "vector_store_expired"


def no_store(id: str, param: str = "vector_store_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    return NotFound(f"there is no vector store {id[:200]!r}", param=param)


def no_file(id: str, store: str, param: str = "file_id") -> NotFound:
    """The store has no such file."""
    return NotFound(f"the vector store {store[:200]!r} has no file {id[:200]!r}", param=param)


def no_batch(id: str, store: str, param: str = "batch_id") -> NotFound:
    """The store has no such batch."""
    return NotFound(f"the vector store {store[:200]!r} has no batch {id[:200]!r}", param=param)


def expired(id: str) -> StoreExpired:
    """Nothing can be done with it but look at it, and delete it."""
    return StoreExpired(f"the vector store {id!r} has expired; make a new one", param="vector_store_id")
