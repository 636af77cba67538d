"""What an index is: chunks of documents in, the nearest ones out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, get_args

from caravan_contracts.errors import InvalidRequest

from caravan_vector.filters import Attributes, Filter
from caravan_vector.texts import storable

Mode = Literal["vector", "keyword", "hybrid"]
MODES: Final[frozenset[Mode]] = frozenset(get_args(Mode))
MAX_DIMENSION: Final = 4000
"""What pgvector's HNSW takes of half-precision vectors."""
MAX_LIMIT: Final = 100
MAX_CHUNKS: Final = 1000
"""In one :meth:`Index.put`."""
MAX_CHUNK_TEXT: Final = 200_000
"""Characters; PostgreSQL's word lists end at a megabyte."""
MAX_QUERY_TEXT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a file. `id` names it within its store; the same id again replaces it."""

    id: str
    file: str
    position: int
    """In its file, from 0."""
    text: str
    vector: Sequence[float]
    """Of any length but zero: only its direction counts."""
    place: Mapping[str, Any] = field(default_factory=dict)
    """Where in the document, as JSON: page, sheet, heading."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is read back."""

    id: str
    file: str
    position: int
    text: str
    place: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rrf:
    """Reciprocal rank fusion: 1 / (k + rank), summed over both orders."""

    k: float = 60.0


@dataclass(frozen=True, slots=True)
class Weighted:
    """The weighted mean of both scores; only the ratio of the weights counts. What is written here was best in
    docs/retrieval.md."""

    vector: float = 0.7
    keyword: float = 0.3


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: `vector` for modes vector and hybrid, `text` for keyword and hybrid."""

    mode: Mode = "vector"
    vector: Sequence[float] | None = None
    text: str | None = None
    filter: Filter | None = None
    limit: int = 10
    threshold: float = 0.0
    """Least score of a hit."""
    ranker: Rrf | Weighted = Rrf()
    """Of hybrid."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found. `score` is between 0 and 1, and means:

    - vector: the cosine of the angle to the query, 0 for what points away from it;
    - keyword: the share of the query's words that it has, each by how rare it is in the store, and in full only when it
      is there very often (0.61 of it when once);
    - hybrid with :class:`Rrf`: the sum of 1 / (k + rank), as a share of what the first of both orders gets;
    - hybrid with :class:`Weighted`: the weighted mean of the two scores above.
    """

    id: str
    file: str
    score: float
    text: str
    attributes: Attributes
    place: Mapping[str, Any]
    position: int


class Index(Protocol):
    """Chunks by tenant and store. What one call has acknowledged, the next search sees, in whatever process.

    Every method raises NotFound for a store that is not the tenant's (except :meth:`create`, :meth:`drop`), and
    DependencyDown when what it needs cannot be reached.
    """

    name: str
    """As `provider_id` has it."""
    modes: frozenset[Mode]
    """What :meth:`search` can do."""

    async def create(self, tenant: str, store: str, dimension: int) -> None:
        """Make a store for vectors of `dimension` numbers. Raises Conflict when it is there with another dimension."""
        ...

    async def drop(self, tenant: str, store: str) -> None:
        """Forget a store with all it has; nothing happens when it is not there."""
        ...

    async def put(self, tenant: str, store: str, chunks: Sequence[Chunk]) -> None:
        """Add chunks, all or none; those that are there already are replaced. Raises InvalidRequest for vectors of
        another dimension, without a direction, or for texts that cannot be kept."""
        ...

    async def remove(self, tenant: str, store: str, files: Sequence[str]) -> None:
        """Take files out, with their chunks and attributes; nothing happens for those that are not there."""
        ...

    async def set_attributes(self, tenant: str, store: str, file: str, attributes: Attributes) -> None:
        """Replace the attributes of a file, which may come before its chunks."""
        ...

    async def search(self, tenant: str, store: str, query: Query) -> list[Hit]:
        """The best hits, best first, by id where scores are equal. Raises InvalidRequest for what cannot be asked."""
        ...

    async def count(self, tenant: str, store: str) -> int:
        """How many chunks there are."""
        ...

    async def chunks(self, tenant: str, store: str, file: str, after: int = -1, limit: int = 100) -> list[Passage]:
        """Chunks of a file behind the position `after`, in order; none when there is no such file."""
        ...

    async def settle(self, tenant: str, store: str) -> None:
        """Called when much was put: make what lets searches be quick. May take minutes; searches and writes go on
        meanwhile, and nothing is wrong when it never ends."""
        ...

    async def close(self) -> None:
        """Give back memory; connections belong to whoever made them."""
        ...


def check(
    query: Query, dimension: int, name: str, modes: frozenset[Mode], others: Mapping[str, frozenset[Mode]]
) -> None:
    """Raises InvalidRequest unless the index `name` can answer the query; `others` are those that could."""
    if query.mode not in modes:
        able = sorted(other for other, their in others.items() if query.mode in their)
        which = f"these can: {', '.join(able)}" if able else "no index can"
        raise InvalidRequest(f"the index {name!r} cannot search in mode {query.mode!r}; {which}", param="search_mode")
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidRequest(f"max_num_results must be between 1 and {MAX_LIMIT}", param="max_num_results")
    if not 0 <= query.threshold <= 1:
        raise InvalidRequest("score_threshold must be between 0 and 1", param="ranking_options.score_threshold")
    if query.mode != "keyword":
        if query.vector is None:
            raise InvalidRequest(f"a search in mode {query.mode!r} needs a vector", param="query")
        unit(query.vector, dimension, "query")
    if query.mode != "vector":
        _check_text(query)
    if query.mode == "hybrid":
        _check_ranker(query.ranker)


def unit(vector: Sequence[float], dimension: int, param: str) -> list[float]:
    """The vector at length 1. Raises InvalidRequest when it has another dimension, or no direction."""
    if len(vector) != dimension:
        raise InvalidRequest(
            f"a vector of {len(vector)} numbers does not fit a store of dimension {dimension}: "
            "use the embedding model that the store was made for",
            param=param,
            code="dimension_mismatch",
        )
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        raise InvalidRequest("a vector needs a direction: its numbers must be finite, and not all 0", param=param)
    return [each / length for each in vector]


def _check_text(query: Query) -> None:
    if not query.text or not query.text.strip():
        raise InvalidRequest(f"a search in mode {query.mode!r} needs a text", param="query")
    if len(query.text) > MAX_QUERY_TEXT or not storable(query.text):
        raise InvalidRequest(f"the query must be a text of at most {MAX_QUERY_TEXT} characters", param="query")


def _check_ranker(ranker: Rrf | Weighted) -> None:
    if isinstance(ranker, Rrf):
        if not (math.isfinite(ranker.k) and ranker.k > 0):
            raise InvalidRequest("impact_factor must be greater than 0", param="ranking_options.impact_factor")
        return
    weights = (ranker.vector, ranker.keyword)
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        raise InvalidRequest("weights must be at least 0, and not both 0", param="ranking_options.weights")
