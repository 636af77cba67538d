"""What every index must do. A class of its tests inherits :class:`IndexContract` and says how it is made."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts.errors import Conflict, InvalidRequest, NotFound
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.filters import Filter, matches, parse
from caravan_vector.indexes import Chunk, Hit, Index, Query, Rrf, Weighted, open_index, pgvector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.indexes.passages import DIMENSION, chunk, vector
from tests.infrastructure.protocol import Servers

TENANT = "acme"
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""A test of several classes, whose fixtures examples may share."""
TEXTS = {
    "c1": "camels carry salt over the desert",
    "c2": "camels drink water at the oasis",
    "c3": "a caravan of camels rests at night",
    "c4": "stars lead the caravan through the night",
    "c5": "merchants sell salt and silk",
    "c6": "the desert is dry; water is dear",
}
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
values = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.0, 2.0, 1e300, 5e-324, 2**53, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.sampled_from(["1", "true", "a", "B", "ä", "Z", "z", "", "\U0001f42a", "\ufffd"]),
)
keys = st.sampled_from(["a", "b", "c d", "ключ", "it's", '"'])


def compare(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


def join(kind: str, filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": kind, "filters": filters}


orders = st.builds(
    compare,
    st.sampled_from(["gt", "gte", "lt", "lte"]),
    keys,
    values.filter(lambda value: not isinstance(value, bool)),
)
equals = st.builds(compare, st.sampled_from(["eq", "ne"]), keys, values)
members = st.builds(
    compare,
    st.sampled_from(["in", "nin"]),
    keys,
    st.lists(values, max_size=4),
)
filters = st.recursive(
    st.one_of(orders, equals, members),
    lambda inner: st.builds(
        join,
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def near(text: str, **more: Any) -> Query:
    return Query("vector", vector=vector(text), **more)


class IndexContract:
    provider_id: str

    @pytest.fixture
    def index(self, postgres: Postgres) -> Index:
        return open_index(self.provider_id, postgres)

    @pytest_asyncio.fixture(loop_scope="session")
    async def replicas(self, servers: Servers, postgres: Postgres) -> AsyncIterator[list[Index]]:
        """Three processes' worth: nothing is shared but the server."""
        pools = [Postgres(PostgresOptions(servers.database_url, 2, settings=pgvector.SETTINGS)) for _ in range(3)]
        yield [open_index(self.provider_id, pool) for pool in pools]
        for pool in pools:
            await pool.close()

    @pytest_asyncio.fixture(loop_scope="session")
    async def store(self, index: Index) -> str:
        """With :data:`TEXTS`, each in a file of its own: ``file_c1`` …"""
        made = await self.empty(index)
        await index.put(TENANT, made, [chunk(name, text, f"file_{name}") for name, text in TEXTS.items()])
        return made

    async def empty(self, index: Index) -> str:
        made = f"vs_{secrets.token_hex(12)}"
        await index.create(TENANT, made, DIMENSION)
        return made

    # --- what is found ------------------------------------------------------------------------------

    async def test_the_nearest_come_first(self, index: Index, store: str) -> None:
        hits = await index.search(TENANT, store, near(TEXTS["c4"]))
        assert hits[0].id == "c4"
        assert hits[0].score == pytest.approx(1, abs=1e-3)
        assert (hits[0].file, hits[0].text, hits[0].attributes) == ("file_c4", TEXTS["c4"], {})
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert len(hits) == len(TEXTS)

    async def test_the_length_of_a_vector_says_nothing(self, index: Index, store: str) -> None:
        query = near(TEXTS["c4"])
        longer = replace(query, vector=[17 * each for each in query.vector or ()])
        assert ids(await index.search(TENANT, store, query)) == ids(await index.search(TENANT, store, longer))

    async def test_words_are_found_in_any_form(self, index: Index, store: str) -> None:
        hits = await index.search(TENANT, store, Query("keyword", text="camel drinking"))
        assert ids(hits)[0] == "c2"
        assert sorted(ids(hits)) == ["c1", "c2", "c3"]
        assert all(0 < hit.score < 1 for hit in hits)

    @pytest.mark.parametrize("text", ["the of and", "zebra", "'; DROP TABLE x --", "a & b | !c <-> 'd'", "\\ ' \" :*"])
    async def test_words_that_say_nothing_find_nothing(self, index: Index, store: str, text: str) -> None:
        assert await index.search(TENANT, store, Query("keyword", text=text)) == []

    async def test_hybrid_by_ranks(self, index: Index, store: str) -> None:
        query = Query("hybrid", vector=vector(TEXTS["c1"]), text="silk merchants", ranker=Rrf(1))
        hits = await index.search(TENANT, store, query)
        by_vector = ids(await index.search(TENANT, store, near(TEXTS["c1"])))
        by_words = ids(await index.search(TENANT, store, Query("keyword", text="silk merchants")))
        expected = {
            name: sum(1 / (1 + order.index(name) + 1) for order in (by_vector, by_words) if name in order)
            for name in TEXTS
        }
        assert {hit.id: pytest.approx(hit.score) for hit in hits} == expected  # * (1 + 1) / 2
        assert ids(hits) == sorted(expected, key=lambda name: (-expected[name], name))

    async def test_hybrid_by_weights(self, index: Index, store: str) -> None:
        query = Query("hybrid", vector=vector("salt"), text="salt", ranker=Weighted(3, 1))
        hits = await index.search(TENANT, store, query)
        by_vector = {hit.id: hit.score for hit in await index.search(TENANT, store, near("salt"))}
        by_words = {hit.id: hit.score for hit in await index.search(TENANT, store, Query("keyword", text="salt"))}
        for hit in hits:
            assert hit.score == pytest.approx(0.75 * by_vector[hit.id] + 0.25 * by_words.get(hit.id, 0), abs=1e-6)
        only_words = replace(query, ranker=Weighted(0, 1), threshold=0.001)
        assert ids(await index.search(TENANT, store, only_words)) == ids(
            await index.search(TENANT, store, Query("keyword", text="salt"))
        )

    async def test_limit_and_threshold(self, index: Index, store: str) -> None:
        every = await index.search(TENANT, store, near("camels and salt"))
        assert await index.search(TENANT, store, near("camels and salt", limit=2)) == every[:2]
        least = every[2].score
        above = await index.search(TENANT, store, near("camels and salt", threshold=least))
        assert above == [hit for hit in every if hit.score >= least]
        assert await index.search(TENANT, store, near("camels and salt", threshold=1)) == []

    async def test_equal_scores_come_by_id(self, index: Index) -> None:
        store = await self.empty(index)
        await index.put(TENANT, store, [chunk(name, "the same") for name in ("b", "Z", "a", "ä")])
        assert ids(await index.search(TENANT, store, near("the same"))) == ["Z", "a", "b", "ä"]

    async def test_an_empty_store_has_no_hits(self, index: Index) -> None:
        store = await self.empty(index)
        for query in (near("x"), Query("keyword", text="x"), Query("hybrid", vector("x"), "x")):
            assert await index.search(TENANT, store, query) == []
        assert await index.count(TENANT, store) == 0

    async def test_answers_are_those_of_every_other_index(self, index: Index, store: str, postgres: Postgres) -> None:
        """All read the same tables, so any may be asked for the same store."""
        queries = [
            near("camels at night"),
            Query("keyword", text="camels at night"),
            Query("hybrid", vector("camels at night"), "camels at night"),
            Query("hybrid", vector("camels at night"), "camels at night", ranker=Weighted(0.3, 0.7)),
        ]
        reference = open_index("pgvector", postgres)
        for query in queries:
            assert await index.search(TENANT, store, query) == await reference.search(TENANT, store, query)

    # --- filters ------------------------------------------------------------------------------------

    @settings(max_examples=60, deadline=None, suppress_health_check=SHARED)
    @given(data=filters, rows=st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=6))
    async def test_filters_mean_what_the_reference_says(
        self, index: Index, data: dict[str, Any], rows: list[dict[str, Any]]
    ) -> None:
        store = await self.empty(index)
        chunks = [chunk(f"c{place}", f"word{place} camel", f"f{place}") for place in range(len(rows))]
        await index.put(TENANT, store, chunks)
        for place, attributes in enumerate(rows):
            await index.set_attributes(TENANT, store, f"f{place}", attributes)
        tree: Filter = parse(data)
        expected = [f"c{place}" for place, attributes in enumerate(rows) if matches(tree, attributes)]
        for query in (near("camel"), Query("keyword", text="camel"), Query("hybrid", vector("camel"), "camel")):
            found = await index.search(TENANT, store, replace(query, filter=tree))
            assert sorted(ids(found)) == expected
        await index.drop(TENANT, store)

    async def test_attributes_replace_those_before(self, index: Index, store: str) -> None:
        await index.set_attributes(TENANT, store, "file_c1", {"a": 1, "b": "x"})
        await index.set_attributes(TENANT, store, "file_c1", {"b": "y"})
        found = await index.search(TENANT, store, near("x", filter=parse({"type": "eq", "key": "b", "value": "y"})))
        assert [(hit.id, hit.attributes) for hit in found] == [("c1", {"b": "y"})]
        assert not await index.search(TENANT, store, near("x", filter=parse({"type": "eq", "key": "a", "value": 1})))

    async def test_attributes_may_come_before_the_chunks(self, index: Index) -> None:
        store = await self.empty(index)
        await index.set_attributes(TENANT, store, "file_a", {"a": True})
        await index.put(TENANT, store, [chunk("c", "late")])
        assert (await index.search(TENANT, store, near("late")))[0].attributes == {"a": True}

    # --- changes ------------------------------------------------------------------------------------

    async def test_the_same_again_changes_nothing(self, index: Index, store: str) -> None:
        before = await index.search(TENANT, store, near("camels"))
        await index.put(TENANT, store, [chunk(name, text, f"file_{name}") for name, text in TEXTS.items()])
        assert await index.search(TENANT, store, near("camels")) == before
        assert await index.count(TENANT, store) == len(TEXTS)

    async def test_the_same_id_replaces(self, index: Index, store: str) -> None:
        await index.search(TENANT, store, near("x"))
        await index.put(TENANT, store, [chunk("c1", "something else", "file_c2", 9, {"page": 4})])
        [hit] = await index.search(TENANT, store, near("something else", limit=1))
        assert (hit.id, hit.file, hit.position, hit.place) == ("c1", "file_c2", 9, {"page": 4})
        assert await index.count(TENANT, store) == len(TEXTS)
        assert not await index.search(TENANT, store, Query("keyword", text="salt desert carry", threshold=0.2))
        assert await index.chunks(TENANT, store, "file_c1") == []

    async def test_removed_files_are_gone(self, index: Index, store: str) -> None:
        await index.search(TENANT, store, near("x"))
        await index.remove(TENANT, store, ["file_c1", "file_c2", "no such file"])
        assert sorted(ids(await index.search(TENANT, store, near("camels")))) == ["c3", "c4", "c5", "c6"]
        assert sorted(ids(await index.search(TENANT, store, Query("keyword", text="camels")))) == ["c3"]
        assert await index.count(TENANT, store) == 4
        await index.remove(TENANT, store, ["file_c1"])
        await index.put(TENANT, store, [chunk("c1", TEXTS["c1"], "file_c1")])
        assert ids(await index.search(TENANT, store, near(TEXTS["c1"], limit=1))) == ["c1"]

    async def test_chunks_are_read_in_order_and_in_pages(self, index: Index) -> None:
        store = await self.empty(index)
        made = [chunk(f"c{9 - at}", f"text {at}", position=at, place={"page": at}) for at in range(7)]
        await index.put(TENANT, store, [*reversed(made), chunk("other", "other", "file_b")])
        first = await index.chunks(TENANT, store, "file_a", limit=4)
        rest = await index.chunks(TENANT, store, "file_a", after=first[-1].position, limit=4)
        assert [(passage.text, passage.place) for passage in first + rest] == [
            (f"text {at}", {"page": at}) for at in range(7)
        ]
        assert await index.chunks(TENANT, store, "file_z") == []

    async def test_a_store_that_is_dropped_is_gone(self, index: Index, store: str) -> None:
        await index.drop(TENANT, store)
        await index.drop(TENANT, store)
        with pytest.raises(NotFound):
            await index.search(TENANT, store, near("x"))
        await index.create(TENANT, store, DIMENSION)
        assert await index.search(TENANT, store, near("x")) == []

    async def test_settling_a_small_store_is_done_at_once(self, index: Index, store: str) -> None:
        await index.settle(TENANT, store)

    # --- what is refused ----------------------------------------------------------------------------

    async def test_a_store_has_one_dimension(self, index: Index, store: str) -> None:
        await index.create(TENANT, store, DIMENSION)
        with pytest.raises(Conflict, match=f"with dimension {DIMENSION}"):
            await index.create(TENANT, store, DIMENSION + 1)
        with pytest.raises(InvalidRequest, match=f"3 numbers does not fit a store of dimension {DIMENSION}"):
            await index.search(TENANT, store, Query(vector=[1, 2, 3]))
        with pytest.raises(InvalidRequest) as caught:
            await index.put(TENANT, store, [chunk("new", "new"), Chunk("bad", "f", 0, "bad", [1.0, 2.0])])
        assert (caught.value.param, caught.value.code) == ("chunks[1].vector", "dimension_mismatch")
        assert await index.count(TENANT, store) == len(TEXTS), "all or none"
        for size in (0, 4001):
            with pytest.raises(InvalidRequest, match="1 to 4000"):
                await index.create(TENANT, "vs_new", size)

    @pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
    async def test_a_vector_needs_a_direction(self, index: Index, store: str, bad: float) -> None:
        with pytest.raises(InvalidRequest, match="needs a direction"):
            await index.put(TENANT, store, [Chunk("bad", "f", 0, "bad", [bad] * DIMENSION)])
        with pytest.raises(InvalidRequest, match="needs a direction"):
            await index.search(TENANT, store, Query(vector=[bad] * DIMENSION))

    async def test_texts_that_cannot_be_kept(self, index: Index, store: str) -> None:
        for text in ("a\0b", "\ud800", "x" * 200_001):
            with pytest.raises(InvalidRequest) as caught:
                await index.put(TENANT, store, [replace(chunk("bad", "bad"), text=text)])
            assert caught.value.param == "chunks[0].text"

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            (Query("vector"), "query"),
            (Query("hybrid", vector("x")), "query"),
            (Query("keyword", text="  "), "query"),
            (Query("keyword", text="a\0"), "query"),
            (near("x", limit=0), "max_num_results"),
            (near("x", limit=101), "max_num_results"),
            (near("x", threshold=1.1), "ranking_options.score_threshold"),
            (Query("hybrid", vector("x"), "x", ranker=Rrf(0)), "ranking_options.impact_factor"),
            (Query("hybrid", vector("x"), "x", ranker=Weighted(0, 0)), "ranking_options.weights"),
            (Query("hybrid", vector("x"), "x", ranker=Weighted(-1, 2)), "ranking_options.weights"),
        ],
    )
    async def test_what_cannot_be_asked(self, index: Index, store: str, query: Query, param: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await index.search(TENANT, store, query)
        assert caught.value.param == param

    async def test_nobody_sees_another_tenants_store(self, index: Index, store: str) -> None:
        await index.create("other", store, DIMENSION)
        await index.put("other", store, [chunk("c1", "theirs")])
        assert len(await index.search(TENANT, store, near("theirs"))) == len(TEXTS)
        assert [hit.text for hit in await index.search("other", store, near("camels"))] == ["theirs"]
        await index.remove("other", store, ["file_c1"])
        await index.drop("other", store)
        assert await index.count(TENANT, store) == len(TEXTS)
        asked = (
            index.search("other", store, near("x")),
            index.count("other", store),
            index.chunks("other", store, "file_c1"),
            index.put("other", store, [chunk("c1", "x")]),
            index.remove("other", store, ["file_c1"]),
            index.set_attributes("other", store, "file_c1", {}),
            index.settle("other", store),
        )
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, NotFound)

    # --- replicas -----------------------------------------------------------------------------------

    @settings(max_examples=15, deadline=None, suppress_health_check=SHARED)
    @given(data=st.data())
    async def test_every_replica_sees_what_was_acknowledged(self, replicas: list[Index], data: st.DataObject) -> None:
        store = await self.empty(replicas[0])
        words = st.sampled_from(["camel", "salt", "night", "water"])
        truth: dict[str, tuple[str, str]] = {}
        tags: dict[str, str] = {}
        for _ in range(data.draw(st.integers(1, 8))):
            writer = data.draw(st.sampled_from(replicas))
            match data.draw(st.sampled_from(["put", "put", "remove", "tag"])):
                case "put":
                    for name in data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True)):
                        truth[name] = (data.draw(st.sampled_from(["f", "g"])), f"{data.draw(words)} {name}x")
                    await writer.put(TENANT, store, [chunk(name, text, file) for name, (file, text) in truth.items()])
                case "remove":
                    file = data.draw(st.sampled_from(["f", "g"]))
                    await writer.remove(TENANT, store, [file])
                    truth = {name: row for name, row in truth.items() if row[0] != file}
                    tags.pop(file, None)
                case _:
                    file = data.draw(st.sampled_from(["f", "g"]))
                    tags[file] = data.draw(words)
                    await writer.set_attributes(TENANT, store, file, {"tag": tags[file]})
            tag = data.draw(words)
            only = parse({"type": "eq", "key": "tag", "value": tag})
            every, tagged = near("camel salt"), near("camel salt", filter=only)
            answers = await asyncio.gather(*(replica.search(TENANT, store, every) for replica in replicas))
            assert answers[0] == answers[1] == answers[2]
            assert {hit.id: (hit.file, hit.text) for hit in answers[0]} == truth
            answers = await asyncio.gather(*(replica.search(TENANT, store, tagged) for replica in replicas))
            assert answers[0] == answers[1] == answers[2]
            assert set(ids(answers[0])) == {name for name, (file, _text) in truth.items() if tags.get(file) == tag}
        await replicas[0].drop(TENANT, store)

    async def test_writers_at_once_lose_nothing(self, replicas: list[Index]) -> None:
        store = await self.empty(replicas[0])

        async def write(number: int, replica: Index) -> None:
            for batch in range(4):
                chunks = [chunk(f"{number}-{batch}-{at}", f"text {at}", f"f{batch}") for at in range(5)]
                await replica.put(TENANT, store, chunks)
                found = await replica.search(TENANT, store, near("text", limit=100))
                assert {each.id for each in chunks} <= set(ids(found))

        await asyncio.gather(*(write(number, replica) for number, replica in enumerate(replicas)))
        for replica in replicas:
            assert len(await replica.search(TENANT, store, near("text", limit=100))) == 60
            assert await replica.count(TENANT, store) == 60

    @pytest.mark.chaos
    async def test_a_put_that_was_cut_off_is_done_by_a_repeat(self, servers: Servers, replicas: list[Index]) -> None:
        """SIGKILL of PostgreSQL while it writes: what was acknowledged is there, what was not is there or not as a
        whole, and nothing is there twice."""
        store = await self.empty(replicas[0])
        batches = [[chunk(f"{n}-{at}", f"text {n} {at}", f"f{n}") for at in range(100)] for n in range(30)]
        acknowledged: list[int] = []
        some = asyncio.Event()

        async def write() -> None:
            for number, batch in enumerate(batches):
                await replicas[0].put(TENANT, store, batch)
                acknowledged.append(number)
                some.set()

        writing = asyncio.create_task(write())
        await asyncio.wait_for(some.wait(), 30)
        await servers.kill("postgres")
        await asyncio.gather(writing, return_exceptions=True)
        await servers.restart("postgres")
        found = await replicas[1].count(TENANT, store)
        assert found in (100 * len(acknowledged), 100 * len(acknowledged) + 100)
        for batch in batches:
            await replicas[2].put(TENANT, store, batch)
        for replica in replicas:
            assert await replica.count(TENANT, store) == 3000
            for number in (0, 29):
                assert len(await replica.chunks(TENANT, store, f"f{number}", limit=1000)) == 100
            assert ids(await replica.search(TENANT, store, near("text 29 99", limit=1))) == ["29-99"]
