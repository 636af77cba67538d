"""Lists as the first two generations read them."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response


def lines(rows: list[dict[str, Any]]) -> Response:
    """One line of JSON each."""
    return Response(b"".join(orjson.dumps(row) + b"\n" for row in rows), media_type="application/jsonl")
