"""The words of a query: how rare each is in the store, what it therefore weighs, and which chunks to look at first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from caravan_storage.postgres import Connection

from caravan_vector.indexes.tables import Head

MOST_WORDS: Final = 32
"""The first ones of a query count."""
MOST_COUNTED: Final = 1_000
"""Chunks up to which those of a word are counted by a search."""
COUNT_FROM: Final = 5_000
"""Chunks from which on a store has its common words counted."""
COMMON: Final = 200
"""Chunks from which on a word is common."""
CANDIDATES: Final = 400
"""Chunks that one of :func:`tiers` brings at most."""
_PAIRED: Final = 4
_COUNT_SECONDS: Final = 600.0
_TIDY: Final = """
SELECT gin_clean_pending_list(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am a ON a.oid = c.relam AND a.amname = 'gin'
WHERE i.indrelid = (SELECT tableoid FROM vector_chunks WHERE store = $1 LIMIT 1)
"""
"""What was written lately is read one by one until it is sorted in, which makes the whole index too dear to use."""
_COUNTED: Final = "SELECT coalesce((SELECT counted FROM vector_index_stores WHERE number = $1), 0)"
_TERM: Final = r"'''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || ''''"


@dataclass(frozen=True, slots=True)
class Word:
    """One lexeme, as a tsquery."""

    term: str
    chunks: int
    """That have it, as far as they were counted."""


@dataclass(frozen=True, slots=True)
class Words:
    """Of a query, the rarest first."""

    words: Sequence[Word] = ()
    total: int = 0
    """Chunks of the store."""

    @property
    def terms(self) -> list[str]:
        """A tsquery for each."""
        return [word.term for word in self.words]

    @property
    def weights(self) -> list[float]:
        """Of each, 1 together: the inverse document frequency of BM25 (Robertson and Zaragoza, 2009)."""
        found = [math.log1p((max(0, self.total - word.chunks) + 0.5) / (word.chunks + 0.5)) for word in self.words]
        return [each / math.fsum(found) for each in found]

    @property
    def tiers(self) -> list[str]:
        """Queries whose chunks are looked at, in this order, until there are enough: with all words; with one so rare
        that all its chunks can be looked at; with two of the rarest; then with each other word, the rarest first."""
        terms, rare = self.terms, self._rare()
        tiers = [" & ".join(terms), " | ".join(rare)]
        if len(terms) > 2:
            tiers.append(" | ".join(f"({one} & {other})" for one, other in combinations(terms[:_PAIRED], 2)))
        return [tier for tier in dict.fromkeys(tiers + terms[len(rare) :]) if tier]

    def _rare(self) -> list[str]:
        """The rarest ones that fit into a tier together."""
        chosen, chunks = [], 0
        for word in self.words:
            chunks += word.chunks
            if chunks > CANDIDATES:
                break
            chosen.append(word.term)
        return chosen


async def look_up(connection: Connection, head: Head, text: str) -> Words:
    """The words of `text` that say something."""
    statement = f"""
    SELECT term, coalesce(
        (SELECT k.chunks FROM vector_common_words k WHERE k.store = {head.number} AND k.word = lexeme),
        (SELECT count(*) FROM (
            SELECT FROM vector_chunks c WHERE c.store = {head.number} AND c.words @@ term::tsquery LIMIT {MOST_COUNTED}
        ) having_it)
    ) AS chunks, (SELECT sum(f.chunks) FROM vector_index_files f WHERE f.store = {head.number})::bigint AS total
    FROM (
        SELECT lexeme, {_TERM} AS term FROM unnest(to_tsvector('english', $1)) ORDER BY positions[1] LIMIT {MOST_WORDS}
    ) asked ORDER BY chunks, term"""  # noqa: S608 - literals of ours
    rows = await connection.fetch(statement, text)
    return Words([Word(row["term"], row["chunks"]) for row in rows], (rows[0]["total"] or 0) if rows else 0)


async def count_common(connection: Connection, head: Head, chunks: int) -> None:
    """Keep how many of the store's `chunks` have each common word, unless that is known well enough: within a fifth.
    Takes about a second for 100,000 chunks."""
    if chunks < COUNT_FROM:
        return
    await connection.execute(_TIDY, head.number, timeout=_COUNT_SECONDS)
    if abs(chunks - await connection.fetchval(_COUNTED, head.number)) * 5 <= chunks:
        return
    counts = f"ts_stat('SELECT words FROM vector_chunks WHERE store = {head.number}')"  # noqa: S608 - literals of ours
    async with connection.transaction():
        await connection.execute("DELETE FROM vector_common_words WHERE store = $1", head.number)
        await connection.execute(
            f"INSERT INTO vector_common_words SELECT $1, word, ndoc FROM {counts} WHERE ndoc >= {COMMON} ORDER BY word "  # noqa: S608 - literals of ours
            "ON CONFLICT (store, word) DO UPDATE SET chunks = excluded.chunks",
            head.number,
            timeout=_COUNT_SECONDS,
        )
        await connection.execute("UPDATE vector_index_stores SET counted = $2 WHERE number = $1", head.number, chunks)
