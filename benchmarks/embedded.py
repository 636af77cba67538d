"""Vectors of texts by the bundled MiniLM, in this process; each list of texts is embedded once and kept in a file."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from caravan_inference.providers.onnx_embeddings import weights
from caravan_inference.providers.onnx_embeddings.model import Model, Vectors
from caravan_inference.providers.onnx_embeddings.options import Config

BUILD = Path(__file__).parent / "build"
_ROWS = 16
_REPORT_SECONDS = 20.0


def embedded(texts: Sequence[str], tokens: int = 256) -> Vectors:
    """One row of length 1 per text, of its first `tokens` tokens at most (256 is all that the model can take)."""
    digest = hashlib.sha256(f"{tokens}\0".encode() + "\0".join(texts).encode("utf-8", "replace")).hexdigest()
    kept = BUILD / f"vectors-{digest[:16]}.npy"
    if kept.is_file():
        made: Vectors = np.load(kept)
        return made
    made = _embed(texts, tokens)
    BUILD.mkdir(exist_ok=True)
    unfinished = kept.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        np.save(file, made)
    unfinished.rename(kept)
    return made


def _embed(texts: Sequence[str], tokens: int) -> Vectors:
    """Shortest first, so that rows which are computed together need little padding."""
    model = _model(tokens)
    encoded = model.tokens(list(texts))
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    made = np.empty((len(encoded), model.dimension), np.float32)
    told = time.monotonic()
    for at in range(0, len(order), _ROWS):
        rows = order[at : at + _ROWS]
        made[rows] = model.embed([encoded[row] for row in rows])
        if time.monotonic() - told > _REPORT_SECONDS:
            told = time.monotonic()
            print(f"{at} of {len(order)} texts are embedded", file=sys.stderr, flush=True)
    return made


@lru_cache(2)
def _model(tokens: int) -> Model:
    config = Config(context_length=tokens)
    path, tokenizer, _name = weights.find(config)
    return Model(config, path, tokenizer)
