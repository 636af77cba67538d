"""What a key may look like, `files/<digest>/<id>`: safe as a path of a folder and as an S3 key, nothing to escape."""

from __future__ import annotations

import re
from typing import Final

from caravan_contracts.errors import InvalidRequest

MAX_KEY: Final = 512
"""Characters of a key; S3 takes 1024 bytes, of which a prefix may be used up."""
MAX_SEGMENT: Final = 200
"""Characters between two slashes; file systems take 255."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_key(text: str) -> bool:
    """Whether :func:`check_key` takes it."""
    return len(text) <= MAX_KEY and all(
        len(segment) <= MAX_SEGMENT and _SEGMENT.fullmatch(segment) for segment in text.split("/")
    )


def check_key(key: str) -> str:
    """`key` as it is. Raises InvalidRequest for an empty one, one that is too long, or one with other characters than
    letters, digits and `_ . - /`, with empty segments, or with segments that begin with a dot."""
    if not is_key(key):
        raise InvalidRequest(f"no key of an object: {key[:80]!r}", code="invalid_object_key")
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` as it is: empty, or the beginning of a key, in mid-segment or at a slash. Raises InvalidRequest."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix
