"""The words of a query: what they weigh, and where it is looked first."""

from __future__ import annotations

import math
import secrets

import pytest
from caravan_storage.postgres import Postgres
from caravan_vector.indexes import Query, open_index, words
from caravan_vector.indexes.tables import find
from caravan_vector.indexes.words import CANDIDATES, MOST_COUNTED, MOST_WORDS, Word, Words, look_up
from hypothesis import given
from hypothesis import strategies as st

from tests.indexes.contract import TENANT, ids
from tests.indexes.passages import DIMENSION, chunk


@given(st.lists(st.integers(0, MOST_COUNTED), min_size=1, max_size=8), st.integers(0, 10**7))
def test_rarer_words_weigh_more(counts: list[int], total: int) -> None:
    asked = Words([Word(f"'w{at}'", chunks) for at, chunks in enumerate(sorted(counts))], total)
    assert math.fsum(asked.weights) == pytest.approx(1)
    assert all(weight > 0 for weight in asked.weights)
    assert asked.weights == sorted(asked.weights, reverse=True)


def test_weights_are_those_of_bm25() -> None:
    weights = Words([Word("'a'", 1), Word("'b'", 3)], 6).weights
    rare, common = math.log(1 + 5.5 / 1.5), math.log(1 + 3.5 / 3.5)
    assert weights == pytest.approx([rare / (rare + common), common / (rare + common)])


def test_tiers_go_from_all_words_to_each() -> None:
    counts = {"a": 3, "b": CANDIDATES - 3, "c": CANDIDATES, "d": 900, "e": 1000}
    asked = Words([Word(name, count) for name, count in counts.items()], 10_000)
    pairs = "(a & b) | (a & c) | (a & d) | (b & c) | (b & d) | (c & d)"
    assert asked.tiers == ["a & b & c & d & e", "a | b", pairs, "c", "d", "e"]
    assert Words([Word("a", 3)], 10_000).tiers == Words([Word("a", 900)], 10_000).tiers == ["a"]
    assert Words().tiers == Words().weights == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_rare_word_is_found_behind_any_number_of_common_ones(postgres: Postgres) -> None:
    """More chunks have the common words than are looked at, and all of them were put in before."""
    index = open_index("pgvector", postgres)
    store = f"vs_{secrets.token_hex(12)}"
    await index.create(TENANT, store, DIMENSION)
    common = [chunk(f"c{at:04}", "camels carry salt" if at % 2 else "camels drink water") for at in range(2400)]
    for at in range(0, 2400, 800):
        await index.put(TENANT, store, common[at : at + 800])
    await index.put(TENANT, store, [chunk("rare", "an astrolabe"), chunk("both", "camels carry salt and water")])
    async with postgres.acquire() as connection:
        asked = await look_up(connection, await find(connection, TENANT, store), "camels of the Astrolabe's silk")
    assert asked == Words([Word("'silk'", 0), Word("'astrolab'", 1), Word("'camel'", MOST_COUNTED)], 2402)
    found = await index.search(TENANT, store, Query("keyword", text="which camels carry an astrolabe"))
    assert ids(found)[0] == "rare"
    assert ids(await index.search(TENANT, store, Query("keyword", text="camels carry salt, water")))[0] == "both"
    await index.drop(TENANT, store)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("provider_id", ["pgvector", "faiss"])
async def test_common_words_of_a_large_store_are_counted_once(
    postgres: Postgres, provider_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "COUNT_FROM", 100)
    monkeypatch.setattr(words, "COMMON", 50)
    index = open_index(provider_id, postgres)
    store = f"vs_{secrets.token_hex(12)}"
    await index.create(TENANT, store, DIMENSION)

    async def kept() -> dict[str, int]:
        async with postgres.acquire() as connection:
            head = await find(connection, TENANT, store)
            rows = await connection.fetch("SELECT word, chunks FROM vector_common_words WHERE store = $1", head.number)
        return {row["word"]: row["chunks"] for row in rows}

    await index.put(TENANT, store, [chunk(f"a{at}", "camels" if at % 2 else "camels drink") for at in range(99)])
    await index.settle(TENANT, store)
    assert await kept() == {}
    await index.put(TENANT, store, [chunk(f"b{at}", "it's camels\\salt") for at in range(3)])
    await index.settle(TENANT, store)
    assert await kept() == {"camel": 102, "drink": 50}
    await index.put(TENANT, store, [chunk(f"c{at}", "camels") for at in range(10)])
    await index.settle(TENANT, store)
    assert (await kept())["camel"] == 102, "a few more change nothing"
    async with postgres.acquire() as connection:
        found = await look_up(connection, await find(connection, TENANT, store), "salt for camels")
    assert found == Words([Word("'salt'", 3), Word("'camel'", 102)], 112)
    await index.put(TENANT, store, [chunk(f"d{at}", "camels drink") for at in range(40)])
    await index.settle(TENANT, store)
    assert await kept() == {"camel": 152, "drink": 90}
    await index.drop(TENANT, store)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_first_words_of_a_long_query_count(postgres: Postgres) -> None:
    index = open_index("pgvector", postgres)
    store = f"vs_{secrets.token_hex(12)}"
    await index.create(TENANT, store, DIMENSION)
    await index.put(TENANT, store, [chunk("first", "zebra"), chunk("last", "aardvark")])
    text = " ".join(["zebra", *(f"word{at}" for at in range(MOST_WORDS - 1)), "aardvark"])
    assert ids(await index.search(TENANT, store, Query("keyword", text=text))) == ["first"]
    await index.drop(TENANT, store)
