"""The ways in which a search can be done, in the words of the HTTP API."""

from __future__ import annotations

from typing import Any, Final

Options = dict[str, Any]
WAYS: Final[dict[str, Options]] = {
    "vector": {"search_mode": "vector"},
    "keyword": {"search_mode": "keyword"},
    "hybrid, rrf": {"search_mode": "hybrid", "ranking_options": {"ranker": "rrf"}},
    "hybrid, weighted": {"search_mode": "hybrid", "ranking_options": {"ranker": "weighted"}},
}


def with_reranker(model: str) -> dict[str, Options]:
    """All of them, and one whose hits `model` puts in order."""
    options = {"search_mode": "hybrid", "ranking_options": {"ranker": "neural", "model": model}}
    return {**WAYS, f"hybrid, reranked by {model}": options}
