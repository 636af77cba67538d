"""``inline::prompt-guard``: Meta's Prompt Guard, or any other text classifier that is an ONNX file, in this process.

Needs ``caravan-safety[onnx]``: onnxruntime and tokenizers. Model and tokenizer are files of the operator; nothing is
fetched.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.shields import classes, packages
from caravan_safety.shields.base import Opinion, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_BATCH: Final = 8
"""Pieces that the model is given at once."""


class Settings(classes.Settings):
    """Of one shield."""

    model_path: str
    """The ONNX file; its outputs are one row of logits a text."""
    tokenizer_path: str = ""
    """``tokenizer.json``; "" = beside the model."""
    labels: list[str] = Field(default_factory=lambda: ["BENIGN", "MALICIOUS"], min_length=2, max_length=256)
    """Of the logits, in their order. The first Prompt Guard has three: BENIGN, INJECTION, JAILBREAK."""
    max_tokens: int = Field(default=512, ge=8, le=8192)
    """The model's window."""


class PromptGuard:
    """Judges passages; names no places."""

    types = ("inline::prompt-guard",)
    sees = False
    finds_places = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loading = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, spec.params)
        for package in ("onnxruntime", "tokenizers", "numpy"):
            packages.need(package, "caravan-safety[onnx]", cls.types[0])
        if not Path(settings.model_path).is_file():
            raise InvalidRequest("params.model_path names no file of the safety service", param="params.model_path")
        return cls(settings)

    async def look(self, passage: Passage) -> Opinion:
        pieces = classes.pieces(passage, self._settings.max_characters)
        rows: list[dict[str, float]] = []
        for start in range(0, len(pieces), _BATCH):
            if time.monotonic() > passage.until:  # nobody can stop a thread
                raise TimeoutError("the text is too long for the time that there was")
            rows += await asyncio.to_thread(self._run, pieces[start : start + _BATCH])
        return classes.opinion(rows, self._settings)

    def _run(self, texts: Sequence[str]) -> list[dict[str, float]]:
        session, tokenizer = self._load()
        numpy = packages.load("numpy")
        encoded = tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": [each.ids for each in encoded],
            "attention_mask": [each.attention_mask for each in encoded],
            "token_type_ids": [each.type_ids for each in encoded],
        }
        wanted = {each.name for each in session.get_inputs()}
        feed = {name: numpy.asarray(rows, dtype=numpy.int64) for name, rows in given.items() if name in wanted}
        logits = session.run(None, feed)[0]
        if logits.ndim != 2 or logits.shape[1] != len(self._settings.labels):
            raise CaravanError(
                f"the model gives {logits.shape[1:]} numbers a text for {len(self._settings.labels)} labels"
            )
        return [dict(zip(self._settings.labels, _softmax(row), strict=True)) for row in logits.tolist()]

    def _load(self) -> tuple[Any, Any]:
        with self._loading:
            if self._loaded is None:
                path = Path(self._settings.model_path)
                runtime = packages.load("onnxruntime")
                options = runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
                where = self._settings.tokenizer_path or str(path.parent / "tokenizer.json")
                tokenizer = packages.load("tokenizers").Tokenizer.from_file(where)
                tokenizer.enable_truncation(self._settings.max_tokens)
                tokenizer.enable_padding()
                self._loaded = session, tokenizer
            return self._loaded


def _softmax(row: list[float]) -> list[float]:
    top = max(row)
    parts = [math.exp(value - top) for value in row]
    return [part / sum(parts) for part in parts]
