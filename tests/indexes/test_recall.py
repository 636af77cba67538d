"""How much of the truth an approximate search finds, on twenty thousand real passages."""

from __future__ import annotations

import asyncio
import secrets

import numpy as np
import pytest
from caravan_storage.postgres import Postgres
from caravan_vector.filters import parse
from caravan_vector.indexes import Chunk, Query, open_index

from benchmarks.corpus import passages
from tests.indexes.contract import TENANT
from tests.indexes.passages import vector

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long, pytest.mark.timeout(900)]
SIZE = 384
QUERIES = 60


@pytest.mark.parametrize("provider_id", ["pgvector", "faiss"])
async def test_ten_nearest(postgres: Postgres, provider_id: str) -> None:
    found = passages(20_500)
    assert len(found) == 20_500
    vectors = [vector(text, SIZE) for _file, text in found]
    truth = np.asarray(vectors, np.float32)
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    index = open_index(provider_id, postgres)
    store = f"vs_{secrets.token_hex(12)}"
    await index.create(TENANT, store, SIZE)
    # every 20th batch of chunks is in a file of its own kind: 5 %
    chunks = [Chunk(str(at), f"f{at // 100}", at % 100, found[at][1], vectors[at]) for at in range(20_000)]
    for at in range(0, 20_000, 500):
        await index.put(TENANT, store, chunks[at : at + 500])
    for file in range(200):
        await index.set_attributes(TENANT, store, f"f{file}", {"kind": file % 20})
    settling = asyncio.create_task(index.settle(TENANT, store))
    await asyncio.sleep(0)
    # neither writes nor searches wait for it
    await index.put(TENANT, store, chunks[:10])
    await index.search(TENANT, store, Query(vector=vectors[0]))
    await asyncio.wait_for(settling, 600)
    few = parse({"type": "eq", "key": "kind", "value": 7})
    kinds = np.arange(20_000) // 100 % 20
    recall_of = recall_of_few = 0.0
    for query in range(20_000, 20_000 + QUERIES):
        near = truth[:20_000] @ truth[query]
        for only, allowed in ((None, np.full(20_000, True)), (few, kinds == 7)):
            hits = await index.search(TENANT, store, Query(vector=vectors[query], filter=only))
            tenth = np.sort(near[allowed])[-10] - 1e-3  # whatever is as near as the tenth counts
            good = sum(bool(near[int(hit.id)] >= tenth and allowed[int(hit.id)]) for hit in hits) / 10
            if only is None:
                recall_of += good / QUERIES
            else:
                recall_of_few += good / QUERIES
    # vectors made of words lie farther apart than a model's, of which more are found (docs/performance.md)
    assert recall_of >= 0.92, f"recall {recall_of:.3f}"
    assert recall_of_few >= 0.95, f"recall under a filter {recall_of_few:.3f}"
    await index.drop(TENANT, store)
