"""One statement per search: the arms (near vectors, rare words), their fusion, and the rows of the hits.

Numbers of stores, dimensions and limits are written out, because an index of one store is only found by a plan that
knows the store; everything of the caller is a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from caravan_vector.indexes.base import Hit, Query, Rrf
from caravan_vector.indexes.conditions import Parameters
from caravan_vector.indexes.tables import Head
from caravan_vector.indexes.words import CANDIDATES, Words

ARM: Final = 100
"""Candidates that each arm of a hybrid search brings at least."""
RANKED: Final = 600
"""Chunks with words of the query that are ranked at most."""
_RANK: Final = "coalesce((SELECT sum(w.weight * ts_rank('{1,1,1,1}', c.words, w.term)) FROM wanted w), 0)::float8"
"""The share of the query's words that a chunk has, by their weight; one that is there once counts for 0.6."""


@dataclass
class Search:
    """The parts of a statement that is being written."""

    head: Head
    query: Query
    vector: list[float]
    """Of length 1; empty in mode keyword."""
    files: Sequence[int] | None = None
    """Only chunks of these."""
    words: Words = field(default_factory=Words)
    """Of the query, in modes keyword and hybrid."""
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def depth(self) -> int:
        """Candidates of an arm."""
        return self.query.limit if self.query.mode != "hybrid" else max(ARM, 2 * self.query.limit)

    @property
    def chunks(self) -> str:
        """The condition on ``vector_chunks c``."""
        store = f"c.store = {self.head.number}"
        if self.files is None:
            return store
        return f"{store} AND c.file = ANY({self.parameters.add(list(self.files), 'bigint[]')})"

    @property
    def wanted(self) -> str:
        """The query's vector."""
        return f"{self.parameters.add(self.vector, 'real[]')}::halfvec"


def exact(search: Search) -> str:
    """The arm of near vectors that looks at every chunk: the cast keeps it from the HNSW index, too."""
    return f"""
        SELECT c.number, c.id, -(c.embedding <#> (SELECT {search.wanted})) AS near
        FROM vector_chunks c WHERE {search.chunks} ORDER BY near DESC, c.id LIMIT {search.depth}"""  # noqa: S608 - literals of ours


def graph(search: Search) -> str:
    """The arm that asks the HNSW index of the store."""
    size = search.head.dimension
    near = f"c.embedding::halfvec({size}) <#> {search.wanted}({size})"
    return f"""
        SELECT number, id, near FROM (
            SELECT c.number, c.id, -({near}) AS near FROM vector_chunks c WHERE {search.chunks}
            ORDER BY {near} LIMIT {search.depth}
        ) found"""  # noqa: S608 - literals of ours


def given(search: Search, numbers: Sequence[int]) -> str:
    """The arm that was found elsewhere; how near they are is said by the truth."""
    return f"""
        SELECT c.number, c.id, -(c.embedding <#> (SELECT {search.wanted})) AS near FROM vector_chunks c
        WHERE c.store = {search.head.number} AND c.number = ANY({search.parameters.add(list(numbers), "bigint[]")})"""  # noqa: S608 - literals of ours


def hits(search: Search, nearest: str = "") -> str:
    """The whole statement, with `nearest` as its arm of near vectors."""
    arms = [f"nearest AS MATERIALIZED ({nearest})"] if nearest else []
    arms += _words(search) if search.query.mode != "vector" else []
    threshold = search.parameters.add(search.query.threshold, "float8")
    return f"""
    WITH {", ".join(arms)}, scored AS ({_scored(search)})
    SELECT c.id, f.id AS file, least(s.score, 1) AS score, c.text, f.attributes, c.place, c.position
    FROM scored s
    JOIN vector_chunks c ON c.store = {search.head.number} AND c.number = s.number
    JOIN vector_index_files f ON f.number = c.file
    WHERE s.score >= {threshold} ORDER BY s.score DESC, c.id LIMIT {search.query.limit}"""  # noqa: S608 - literals of ours


def read(rows: Sequence[Any]) -> list[Hit]:
    """What the statement found."""
    return [Hit(**row) for row in rows]


def _words(search: Search) -> list[str]:
    """The best of a bounded number of chunks, those first that are likely to be good."""
    terms = search.parameters.add(search.words.terms, "text[]::tsquery[]")
    weights = search.parameters.add(search.words.weights, "float8[]")
    wanted = f"wanted AS MATERIALIZED (SELECT * FROM unnest({terms}, {weights}) w (term, weight))"  # noqa: S608 - literals of ours
    tiers = search.parameters.add(search.words.tiers, "text[]::tsquery[]")
    worded = f"""worded AS MATERIALIZED (
        SELECT DISTINCT c.number, c.id, {_RANK} AS rank FROM (
            SELECT found.* FROM unnest({tiers}) tier CROSS JOIN LATERAL (
                SELECT c.number, c.id, c.words FROM vector_chunks c
                WHERE {search.chunks} AND c.words @@ tier LIMIT {CANDIDATES}
            ) found LIMIT {RANKED}
        ) c ORDER BY rank DESC, c.id LIMIT {search.depth})"""  # noqa: S608 - literals of ours
    return [wanted, worded]


def _scored(search: Search) -> str:
    """Numbers of chunks with their scores."""
    if search.query.mode == "vector":
        return "SELECT number, greatest(near, 0) AS score FROM nearest"
    if search.query.mode == "keyword":
        return "SELECT number, rank AS score FROM worded"
    ranker = search.query.ranker
    if isinstance(ranker, Rrf):
        k = search.parameters.add(float(ranker.k), "float8")
        return f"""
        SELECT number, sum(1 / ({k} + place)) * ({k} + 1) / 2 AS score FROM (
            SELECT number, row_number() OVER (ORDER BY near DESC, id) AS place FROM nearest
            UNION ALL SELECT number, row_number() OVER (ORDER BY rank DESC, id) FROM worded
        ) places GROUP BY number"""  # noqa: S608 - literals of ours
    both = ranker.vector + ranker.keyword
    near = search.parameters.add(ranker.vector / both, "float8")
    rank = search.parameters.add(ranker.keyword / both, "float8")
    return f"""
        SELECT c.number, {near} * greatest(-(c.embedding <#> (SELECT {search.wanted})), 0) + {rank} * {_RANK} AS score
        FROM (SELECT number FROM nearest UNION SELECT number FROM worded) both_arms
        JOIN vector_chunks c ON c.store = {search.head.number} AND c.number = both_arms.number"""  # noqa: S608 - literals of ours
