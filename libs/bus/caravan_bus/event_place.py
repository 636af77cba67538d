"""Where a stream of a response's events is: behind which whole event, and how far into the next.

What arrives is cut between events, but for events that are larger than a frame.
"""

from __future__ import annotations

import re
from typing import Final

_HEAD: Final = re.compile(rb'(?:^|\n)data: \{"type":"[\w.]+","sequence_number":(\d+)')
"""As our events begin: no text within one can look like it, for a line break in JSON is escaped."""
_END: Final = b"\n\n"


class EventPlace:
    """Of one stream; looked at only when it breaks."""

    __slots__ = ("_first", "_rest", "_whole")

    def __init__(self, first: int) -> None:
        """`first` is the number of the first event that comes."""
        self._first = first
        self._whole = b""
        """The last bytes that ended with an event."""
        self._rest = b""
        """Of an event whose end has not come."""

    def passed(self, data: bytes) -> None:
        """`data` came."""
        if not self._rest and data.endswith(_END):
            self._whole = data
            return
        data = self._rest + data
        cut = data.rfind(_END) + len(_END)
        if cut < len(_END):
            self._rest = data
        else:
            self._whole, self._rest = data[:cut], data[cut:]

    @property
    def sequence(self) -> int:
        """The number behind that of the last whole event."""
        found = _HEAD.findall(self._whole)
        return int(found[-1]) + 1 if found else self._first

    @property
    def rest(self) -> int:
        """Bytes of the event after it that came already."""
        return len(self._rest)
