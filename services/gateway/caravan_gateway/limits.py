"""Limits as OpenAI's SDKs read them: ``x-ratelimit-*``, beside ``retry-after``.

Only for bounds of our own: a provider's 429 is passed on without guessing which of its limits was reached.
"""

from __future__ import annotations

import math

from caravan_contracts.errors import CaravanError, Overloaded, RateLimited


def of_error(error: CaravanError) -> list[tuple[bytes, bytes]]:
    """What an error says of the number of requests that was reached; nothing when it was none."""
    if not isinstance(error, Overloaded | RateLimited) or not error.limit or error.retry_after is None:
        return []
    return [
        (b"x-ratelimit-limit-requests", b"%d" % error.limit),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", duration(error.retry_after)),
    ]


def duration(seconds: float) -> bytes:
    """As OpenAI writes it: ``6s``, ``1m30s``, ``250ms``; rounded up."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    minutes, rest = divmod(math.ceil(seconds), 60)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest
