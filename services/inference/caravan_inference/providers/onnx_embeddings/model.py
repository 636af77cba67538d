"""Tokens in, vectors out. Imports numpy, onnxruntime and tokenizers: loaded when the provider starts, not before.

Everything here blocks and is called on threads; `embed` only on one at a time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from caravan_contracts.errors import ContextLengthExceeded, InvalidRequest, Unavailable
from tokenizers import Tokenizer

from caravan_inference.providers.onnx_embeddings.inputs import Text
from caravan_inference.providers.onnx_embeddings.options import Config

Vectors = npt.NDArray[np.float32]
_LONGEST_TOKEN = 100
"""Characters; WordPiece makes one unknown token of a longer word."""


class Model:
    """An encoder with its tokenizer. Vectors are means over the tokens, of length 1."""

    def __init__(self, config: Config, model: Path, tokenizer: Path) -> None:
        self._limit = config.context_length
        self._truncate = config.truncate
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import onnxruntime

        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
            self._session = onnxruntime.InferenceSession(
                str(model), _session_options(onnxruntime, config.threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise classes of their own, without a common base
            raise Unavailable(f"the embedding model {model} cannot be loaded: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._vocabulary = int(self._tokenizer.get_vocab_size())
        self._names = {given.name for given in self._session.get_inputs()}
        self._ends = self._tokenizer.encode("").ids
        self.dimension = int(self.embed([self._ends]).shape[1])

    def tokens(self, texts: list[Text]) -> list[list[int]]:
        """Ids with the special tokens at both ends, never more than the limit.

        Raises ContextLengthExceeded or InvalidRequest (a token that the vocabulary does not have).
        """
        cut = self._limit * _LONGEST_TOKEN  # what comes later can make no token that counts
        words = [text[:cut] for text in texts if isinstance(text, str)]
        encoded = iter(self._tokenizer.encode_batch_fast(words)) if words else iter(())
        return [self._fit(next(encoded).ids if isinstance(text, str) else self._given(text)) for text in texts]

    def embed(self, batch: list[list[int]]) -> Vectors:
        """One row per list of ids. The cost is that of the longest one times their number."""
        ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        run: Any = self._session.run(None, {name: value for name, value in feed.items() if name in self._names})
        hidden: Vectors = run[0]
        if hidden.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            hidden = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        norms: Vectors = np.linalg.norm(hidden, axis=1, keepdims=True)
        return (hidden / np.maximum(norms, 1e-12)).astype(np.float32)

    def _given(self, tokens: list[int]) -> list[int]:
        wrong = [token for token in tokens if not 0 <= token < self._vocabulary]
        if wrong:
            raise InvalidRequest(
                f"token {wrong[0]} is not in this model's vocabulary of {self._vocabulary}; tokens of another model "
                "mean nothing to it: send text",
                param="input",
            )
        if len(self._ends) == 2 and tokens[0] != self._ends[0]:
            return [self._ends[0], *tokens, self._ends[1]]
        return tokens

    def _fit(self, tokens: list[int]) -> list[int]:
        if len(tokens) <= self._limit:
            return tokens
        if not self._truncate:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self._limit} tokens; an input has {len(tokens)} or more. "
                "Please shorten it.",
                param="input",
            )
        return [*tokens[: self._limit - 1], tokens[-1]]


def _session_options(onnxruntime: Any, threads: int) -> Any:
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.enable_mem_pattern = False  # would keep a plan for each shape it has seen
    made.log_severity_level = 3
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made
