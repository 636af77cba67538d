"""Events that are no JSON: left out, or they would end the stream of every client that reads them.

Parsing each event would cost more than all the rest of its way. So only brackets are counted; where they do not add
up, which a text may cause as well, the event is parsed. What is broken in any other way is passed on as it came.
"""

from __future__ import annotations

import orjson


def without_malformed(ready: bytes) -> tuple[bytes, int]:
    """`ready` without its broken events, and how many there were."""
    events = ready.split(b"\n\n")[:-1]
    good = [event for event in events if _is_good(event)]
    if len(good) == len(events):
        return ready, 0
    return b"".join(event + b"\n\n" for event in good), len(events) - len(good)


def _is_good(event: bytes) -> bool:
    if event.endswith(b"}") and event.startswith(b'data: {"') and event.count(b"{") == event.count(b"}"):
        return True
    data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
    if not data or data == b"[DONE]":
        return True  # a comment, a name, or the end
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
