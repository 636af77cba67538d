"""The headers of an answer beside its body's own."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from caravan_gateway.asgi import Headers

_PLAIN: Final = "!#$&'*+,-./:;=?@[]^_`{|}~()<>"
"""What stands in a header as it is; a client can make up names of models, and with them line ends."""


def from_target(target: str, attempts: int) -> Headers:
    """Who answered, and how often somebody had to be asked; nothing where that is not known."""
    if not target:
        return []
    return [(b"x-caravan-target", _written(target)), (b"x-caravan-attempts", b"%d" % attempts)]


def processing(began: float) -> tuple[bytes, bytes]:
    """Milliseconds since `began`, on :func:`time.perf_counter`."""
    return b"openai-processing-ms", b"%d" % ((time.perf_counter() - began) * 1000)


@lru_cache(maxsize=1024)
def _written(target: str) -> bytes:
    return quote(target, safe=_PLAIN).encode()
