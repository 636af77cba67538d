"""What is kept in Redis: bounded, each tenant for itself, and never half."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_contracts.errors import CaravanError, UpstreamFailed
from caravan_contracts.inference import Verb
from caravan_gateway import shelf
from caravan_gateway.caching.store import AnswerStore
from caravan_gateway.idempotency.claim import DONE, FAILED, Claim, Scope
from caravan_gateway.idempotency.store import ClaimLost, RunStore
from caravan_storage.redis import Redis

from tests.infrastructure import choice

MODULE = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Redis]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("stores")) as servers:
        made = Redis(servers.redis_url)
        yield made
        await made.close()


@pytest.fixture
def tenant() -> str:
    return uuid.uuid4().hex


@MODULE
async def test_the_cache_is_bounded_for_each_tenant(redis: Redis, tenant: str) -> None:
    store = AnswerStore(redis, 4 * (1000 + shelf.OVERHEAD))
    for number in range(10):
        await store.put(tenant, f"k{number}", b"x" * 1000, 100 + number)
    await store.put("other-" + tenant, "k0", b"y" * 1000, 100)
    kept = [number for number in range(10) if await store.get(tenant, f"k{number}") is not None]
    assert kept == [6, 7, 8, 9], "those whose time ends first made room"
    assert await store.get("other-" + tenant, "k0") == b"y" * 1000
    await store.put(tenant, "k9", b"z", 500)
    await store.put(tenant, "k10", b"x" * 1000, 500)
    kept = [number for number in range(11) if await store.get(tenant, f"k{number}") is not None]
    assert kept == [7, 8, 9, 10], "what was replaced counts no more"
    assert await store.get(tenant, "k9") == b"z"
    await store.put(tenant, "k11", b"x" * 9000, 900)
    assert await store.get(tenant, "k11") is None, "larger than everything"


@MODULE
async def test_an_index_that_redis_dropped(redis: Redis, tenant: str) -> None:
    store = AnswerStore(redis, 3 * (10 + shelf.OVERHEAD))
    for lost in ("index", "sizes"):
        for number in range(5):
            await store.put(tenant, f"{lost}{number}", b"x" * 10, 100)
        await redis.delete(f"caravan:cache:{{{tenant}}}::{lost}")
        for number in range(5, 10):
            await store.put(tenant, f"{lost}{number}", b"x" * 10, 100)
        kept = [n for n in range(5, 10) if await store.get(tenant, f"{lost}{n}") is not None]
        assert len(kept) == 3


@MODULE
async def test_its_time_ends(redis: Redis, tenant: str) -> None:
    store = AnswerStore(redis, 10_000)
    await store.put(tenant, "k", b"x", 0.02)
    async with asyncio.timeout(10):
        while await store.get(tenant, "k") is not None:
            pass


@MODULE
async def test_one_run_and_its_answer(redis: Redis, tenant: str) -> None:
    store = RunStore(redis, 100, 100_000)
    scope, mine, other = Scope.of(tenant, Verb.CHAT, b"key"), Claim.new("body"), Claim.new("body")
    assert await store.claim(scope, mine) is None
    assert await store.claim(scope, mine) is None, "the same command, sent twice"
    assert await store.claim(scope, other) == mine
    assert await store.write(scope, mine, 0, b"abc") is False
    with pytest.raises(ClaimLost):
        await store.write(scope, other, 0, b"xyz")
    seen = await store.poll(scope, 1)
    assert (seen.claim, seen.piece, seen.size) == (mine, b"bc", 3)
    assert await store.write(scope, mine, 3, b"def") is True, "somebody looks"
    assert await store.write(scope, mine, 3, b"def") is None, "written before, or lost"
    await store.forget(scope)
    assert await store.write(scope, mine, 0, b"abcdef") is True
    await store.unwanted(scope)
    assert await store.write(scope, mine, 6, b"") is False
    await store.done(scope, other, 6)
    assert (await store.poll(scope, 0)).claim == mine, "only who runs it ends it"
    await store.done(scope, mine, 6)
    seen = await store.poll(scope, 0)
    assert seen.claim == mine.done(6) and seen.claim.state == DONE and seen.piece == b"abcdef"
    assert 90_000 < seen.left <= 100_000
    assert await store.claim(scope, other) == mine.done(6)
    assert await store.claim(scope, other, mine.done(6)) is None, "its answer was dropped before its time"
    assert (await store.poll(scope, 0)).piece == b""


@MODULE
async def test_a_failed_run_is_told_and_not_kept(redis: Redis, tenant: str) -> None:
    store = RunStore(redis, 100, 100_000)
    scope, mine, other = Scope.of(tenant, Verb.CHAT, b"key"), Claim.new("body"), Claim.new("another body")
    await store.claim(scope, mine)
    await store.write(scope, mine, 0, b"some of it")
    await store.failed(scope, mine, mine.failed(UpstreamFailed("broken")))
    seen = await store.poll(scope, 0)
    assert seen.claim is not None and seen.claim.state == FAILED and seen.piece == b"some of it"
    assert CaravanError.from_wire(seen.claim.error).message == "broken"
    assert await store.claim(scope, other) is None
    assert (await store.poll(scope, 0)).piece == b""
    await store.release(scope, mine)
    assert (await store.poll(scope, 0)).claim == other
    await store.release(scope, other)
    assert (await store.poll(scope, 0)).claim is None


@MODULE
async def test_answers_of_runs_are_bounded(redis: Redis, tenant: str) -> None:
    store = RunStore(redis, 100, 2 * (1000 + shelf.OVERHEAD))
    scopes = [Scope.of(tenant, Verb.CHAT, b"key%d" % number) for number in range(5)]
    for scope in scopes:
        mine = Claim.new("body")
        await store.claim(scope, mine)
        await store.write(scope, mine, 0, b"x" * 1000)
        await store.done(scope, mine, 1000)
    seen = [await store.poll(scope, 0) for scope in scopes]
    assert sum(one.claim is not None for one in seen) == 2
    assert all(one.size == (1000 if one.claim is not None else 0) for one in seen)


def test_scopes_differ() -> None:
    pairs = [(tenant, verb) for tenant in ("a", "b") for verb in (Verb.CHAT, Verb.RERANK)]
    made = {Scope.of(tenant, verb, key).name for tenant, verb in pairs for key in (b"1", b"2")}
    assert len(made) == 8


@pytest.mark.parametrize("junk", [b"", b"r", b"r[]", b'r["a","b","c","d"]', b"\xff"])
def test_a_claim_that_cannot_be_read(junk: bytes) -> None:
    with pytest.raises(CaravanError):
        Claim.decode(junk)
