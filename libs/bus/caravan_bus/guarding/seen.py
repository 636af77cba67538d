"""Texts that were judged already: a conversation is sent again with each of its turns."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from caravan_bus.guarding.policy import Rule
from caravan_bus.guarding.ruling import Mask

MOST: Final = 16_384
"""Texts; some two megabytes."""


class Seen:
    """What rules found in texts that passed them. One per process; what was blocked is asked about again."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[Mask, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> tuple[Mask, ...] | None:
        """Its masks; None when it is not known."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, masks: tuple[Mask, ...]) -> None:
        """Remember it; the one that was not asked for for longest is forgotten."""
        self._kept[key] = masks
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def key_of(tenant: str, rule: Rule, before: str, text: str) -> bytes:
    """SHA-256 of who asks, of what is asked, and of a text with the one before it: "yes" alone says nothing."""
    digest = hashlib.sha256()
    for part in (tenant, rule.digest, before, text):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
