"""How the C library's allocator of this process behaves."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_KEPT: Final = ((_MMAP_THRESHOLD, 4 * 1024 * 1024), (_TRIM_THRESHOLD, 8 * 1024 * 1024), (_TOP_PAD, 512 * 1024))
"""See mallopt(3)."""
_UNUSED: Final = 1024 * 1024
"""Freed memory that is worth being given back."""
_TRIM_SECONDS: Final = 5.0


class _Info(ctypes.Structure):
    """What mallinfo2(3) returns; `fordblks` is what is free, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def keep_some() -> bool:
    """Have freed memory used again rather than given back and asked for anew: a body of a megabyte is allocated some
    ten times on its way, and the kernel clears each page of it each time, which is a third of what it costs. At most
    8 MiB are kept. False where there is no such allocator (only glibc's is known to need it)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, size) for option, size in _KEPT)


async def give_back() -> None:
    """Every now and then return what lies free between what is in use: a few bodies of a megabyte at the same time
    leave tens of them behind. Runs until it is cancelled; ends at once where there is no such allocator."""
    if not sys.platform.startswith("linux"):
        return
    try:
        library = ctypes.CDLL(None)
        info, trim = library.mallinfo2, library.malloc_trim
    except (OSError, AttributeError):
        return
    info.restype = _Info
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        if info().fordblks > _UNUSED:
            trim(0)
