"""Ids, and where the bytes of what has them lie in the object store."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

PREFIX: Final = "files/"
"""Of every key of this service."""
_ID: Final = re.compile(r"(file-|upload_|part_)[0-9a-f]{32}\Z")


def new_id(kind: str) -> str:
    """A new one that begins with `kind`: ``file-``, ``upload_`` or ``part_``."""
    return kind + secrets.token_hex(16)


def known(id: str) -> bool:
    """Whether anything can have this id."""
    return _ID.match(id) is not None


def key_of(tenant: str, id: str) -> str:
    """The key of a file or part. Its folder is the tenant's digest: names of tenants are nobody's business there."""
    return f"{PREFIX}{hashlib.sha256(tenant.encode()).hexdigest()[:32]}/{id}"
