"""What a model is for, guessed from its name: lists of models seldom say it."""

from __future__ import annotations

from typing import Final

from caravan_contracts.registry import ModelType

_EMBEDDING: Final = ("embed", "bge-", "minilm", "/e5-", "gte-", "nomic", "voyage-")


def guessed(model: str) -> ModelType:
    """A model whose name says nothing writes text."""
    name = "/" + model.lower()
    if "rerank" in name:
        return ModelType.RERANK
    return ModelType.EMBEDDING if any(hint in name for hint in _EMBEDDING) else ModelType.LLM
