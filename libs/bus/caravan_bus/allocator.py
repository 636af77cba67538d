"""How the C library's allocator of this process behaves."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_KEPT: Final = ((_MMAP_THRESHOLD, 4 * 1024 * 1024), (_TRIM_THRESHOLD, 8 * 1024 * 1024), (_TOP_PAD, 512 * 1024))
"""See mallopt(3)."""


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
