"""`ranking_options`, as OpenAI, OGX and Llama Stack write them.

- ``ranker``: ``auto``, ``default-2024-11-15`` or none at all leaves it to us; ``none`` is that without a reranker,
  ``rrf`` and ``weighted`` say how a hybrid search joins its two orders, ``neural`` lets ``model`` order what was found
- ``score_threshold``: least score, 0 to 1
- ``hybrid_search``: OpenAI's ``{embedding_weight, text_weight}``, here of the scores
- ``impact_factor`` (of rrf), ``alpha`` (share of the vectors) or ``weights`` ``{vector, keyword}`` (of weighted): OGX's
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_vector.indexes import Rrf, Weighted

_PARAM: Final = "ranking_options"
_OURS: Final = (None, "auto", "default-2024-11-15", "default_2024_08_21", "none")
_KNOWN: Final = (
    "ranker",
    "score_threshold",
    "hybrid_search",
    "impact_factor",
    "alpha",
    "weights",
    "model",
)
DEFAULT: Final = Weighted()
"""How a hybrid search joins its orders when nobody says so."""
_RRF: Final = Rrf()


@dataclass(frozen=True, slots=True)
class Ranking:
    """What they mean."""

    ranker: Rrf | Weighted = DEFAULT
    threshold: float = 0.0
    reranker: str = ""
    """A model that orders what was found."""


def read(options: dict[str, Any] | None) -> Ranking:
    """Raises InvalidRequest with the path of what is wrong."""
    if not options:
        return Ranking()
    if unknown := [name for name in options if name not in _KNOWN]:
        raise _wrong(unknown[0][:64], f"there are {', '.join(_KNOWN)}")
    named = options.get("ranker")
    if named not in (*_OURS, "rrf", "weighted", "normalized", "neural"):
        raise _wrong("ranker", "should be auto, none, rrf, weighted or neural")
    threshold = _number(options, "score_threshold", 0.0)
    if not 0 <= threshold <= 1:
        raise _wrong("score_threshold", "should be between 0 and 1")
    model = options.get("model") or ""
    if named == "neural" and not (isinstance(model, str) and model):
        raise _wrong("model", "is missing: the ranker neural needs a model for reranking")
    return Ranking(_ranker(options, named), threshold, model if named == "neural" else "")


def _ranker(options: dict[str, Any], named: Any) -> Rrf | Weighted:
    weights = _weights(options)
    if named == "rrf":
        return Rrf(_number(options, "impact_factor", _RRF.k))
    if named in ("weighted", "normalized"):
        return weights or DEFAULT
    if weights is None and options.get("impact_factor") is not None:
        return Rrf(_number(options, "impact_factor", _RRF.k))
    return weights or DEFAULT


def _weights(options: dict[str, Any]) -> Weighted | None:
    given = options.get("hybrid_search")
    if given is not None:
        vector, keyword = _pair(given, "hybrid_search", "embedding_weight", "text_weight")
        return Weighted(vector, keyword)
    given = options.get("weights")
    if given is not None:
        vector, keyword = _pair(given, "weights", "vector", "keyword")
        return Weighted(vector, keyword)
    if options.get("alpha") is not None:
        alpha = _number(options, "alpha", 0.5)
        if not 0 <= alpha <= 1:
            raise _wrong("alpha", "should be between 0 and 1")
        return Weighted(alpha, 1 - alpha)
    return None


def _pair(given: Any, param: str, vector: str, keyword: str) -> tuple[float, float]:
    if not isinstance(given, dict):
        raise _wrong(param, "should be an object")
    pair = _number(given, vector, 0.0, param), _number(given, keyword, 0.0, param)
    if min(pair) < 0 or sum(pair) <= 0:
        raise _wrong(param, "should have weights of at least 0, and not both 0")
    return pair


def _number(given: dict[str, Any], name: str, default: float, within: str = "") -> float:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"{within}.{name}" if within else name, "should be a number")
    return float(value)


def _wrong(name: str, why: str) -> InvalidRequest:
    where = f"{_PARAM}.{name}"
    return InvalidRequest(f"'{where}' {why}", param=where, code="invalid_ranking_options")
