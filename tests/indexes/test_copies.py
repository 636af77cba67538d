"""Indexes that search copies: faiss and the local mode of Qdrant's client."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from caravan_storage.postgres import Postgres
from caravan_vector.indexes import Query, open_index

from tests.indexes.contract import TENANT, IndexContract, ids, near
from tests.indexes.passages import DIMENSION, chunk, vector

pytest.importorskip("faiss", reason="needs caravan-vector[faiss]")
pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestFaiss(IndexContract):
    provider_id = "faiss"

    async def test_copies_have_no_more_bytes_than_they_may(self, postgres: Postgres) -> None:
        """Each store needs 20 * 48 * 2 bytes: there is room for two of three."""
        from caravan_vector.indexes.faiss import Faiss

        index = Faiss(postgres, most_bytes=2 * 20 * DIMENSION * 2)
        stores = [f"vs_{secrets.token_hex(12)}" for _ in range(3)]
        for store in stores:
            await index.create(TENANT, store, DIMENSION)
            await index.put(TENANT, store, [chunk(f"c{at}", f"text {at}") for at in range(20)])
        for _ in range(2):
            for store in stores:
                assert len(await index.search(TENANT, store, near("text 7", limit=20))) == 20
                assert index.held_bytes <= 2 * 20 * DIMENSION * 2
        assert index.held_bytes > 0
        await index.close()
        assert index.held_bytes == 0

    async def test_a_store_that_is_too_large_is_searched_in_postgresql(self, postgres: Postgres, store: str) -> None:
        from caravan_vector.indexes.faiss import Faiss

        small = Faiss(postgres, most_bytes=100)
        large = open_index("faiss", postgres)
        query = Query("hybrid", vector("camels at night"), "camels at night")
        for each in (query, replace(query, mode="vector")):
            found = await small.search(TENANT, store, each)
            assert found == await large.search(TENANT, store, each)
            assert ids(found)
        assert small.held_bytes == 0


class TestQdrant(IndexContract):
    provider_id = "qdrant"

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("qdrant_client", reason="needs caravan-vector[qdrant]")
