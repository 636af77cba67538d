"""How long, and how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_OVERHEAD: Final = 8
"""JSON may write a character in six bytes, and a picture stands beside the text."""
ITEM_ROOM: Final = 4 * 1024
"""Of an item, beside the list, or the arguments and the output."""
_LEAST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class McpOptions:
    """Of every server."""

    list_seconds: float = 30.0
    """To connect and to list the tools."""
    call_seconds: float = 60.0
    """To call one."""
    answer_bytes: int = 1024 * 1024
    """Of the text of one answer, for the model."""
    tools: int = 128
    """Of one server, after `allowed_tools`."""
    listing_bytes: int = 1024 * 1024
    """Of their names, descriptions and schemas, as JSON."""
    cache_seconds: float = 60.0
    """A list is not asked for again by the same tenant with the same headers; 0 asks each time."""
    cache_bytes: int = 16 * 1024 * 1024
    """Of all lists that are remembered."""

    item_bytes: int = 0
    """Of one item, as JSON, when there is such a bound: that of a conversation. 0 is none."""

    def within(self, item_bytes: int) -> McpOptions:
        """The same for a run whose items may have so many bytes each; 0 for one whose items may have any."""
        if not item_bytes:
            return self
        room = max(1024, item_bytes - ITEM_ROOM)
        return replace(self, item_bytes=item_bytes, listing_bytes=min(self.listing_bytes, room))

    @property
    def read_listing_bytes(self) -> int:
        """What is read of a page of a list at most, and of all pages together."""
        return max(_LEAST, 2 * self.listing_bytes)

    @property
    def read_bytes(self) -> int:
        """What is read of one answer at most, as it comes over the wire."""
        return max(_LEAST, _OVERHEAD * self.answer_bytes)
