"""Ids of stores and batches, and under which names files and documents lie in an index."""

from __future__ import annotations

import re
import secrets
from typing import Final

_ID: Final = re.compile(r"(vs_|vsfb_)[0-9a-f]{32}\Z")
_FILE: Final = "f/"
_DOCUMENT: Final = "d/"


def new_store() -> str:
    """``vs_…``"""
    return "vs_" + secrets.token_hex(16)


def new_batch() -> str:
    """``vsfb_…``"""
    return "vsfb_" + secrets.token_hex(16)


def known(id: str) -> bool:
    """Whether any store or batch can have this id."""
    return _ID.match(id) is not None


def file_name(number: int) -> str:
    """A file that was attached, in an index; `number` is its row."""
    return f"{_FILE}{number}"


def chunk_name(number: int, position: int) -> str:
    """One of its chunks."""
    return f"{_FILE}{number}/{position}"


def number_of(name: str) -> int | None:
    """The opposite of :func:`file_name`; None for a document that was put in raw."""
    return int(name.removeprefix(_FILE)) if name.startswith(_FILE) else None


def raw_name(given: str) -> str:
    """A document or chunk that was put in raw, under a name of the client's."""
    return _DOCUMENT + given


def given_name(name: str) -> str:
    """The opposite of :func:`raw_name`, and of a chunk of a file what clients see of it."""
    return name.removeprefix(_DOCUMENT)
