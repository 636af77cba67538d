"""Vectors as OpenAI's JSON."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from caravan_inference.providers.onnx_embeddings.model import Vectors


def encode(vectors: list[Vectors], model: str, tokens: int, *, as_base64: bool) -> bytes:
    """The whole body. Base64 is of little-endian float32, as OpenAI's."""
    rows = []
    for i, vector in enumerate(vectors):
        value = base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector
        rows.append({"object": "embedding", "index": i, "embedding": value})
    body = {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
