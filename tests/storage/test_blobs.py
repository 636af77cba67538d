"""Claim checks: one contract, two implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from caravan_contracts.errors import DependencyDown, InvalidRequest, RequestTooLarge
from caravan_storage.blobs import (
    MAX_BYTES,
    BlobLost,
    Blobs,
    Claim,
    ClaimDesk,
    MemoryBlobs,
    RedisBlobs,
    RedisClaims,
)
from caravan_storage.redis import Redis

from tests.infrastructure.protocol import Servers

pytestmark = pytest.mark.asyncio(loop_scope="session")


class BlobsContract:
    """What every implementation does. `brief` keeps things for a tenth of a second."""

    blobs: Blobs
    brief: Blobs

    async def test_what_was_put_comes_back_more_than_once(self) -> None:
        data = bytes(range(256)) * 4096
        claim = await self.blobs.put(data)
        assert claim.size == len(data)
        assert await self.blobs.get(claim) == data
        assert await self.blobs.get(claim) == data

    async def test_nothing_is_a_blob_too(self) -> None:
        assert await self.blobs.get(await self.blobs.put(b"")) == b""

    async def test_a_claim_does_not_fetch_anything_else(self) -> None:
        claim, other = await self.blobs.put(b"mine"), await self.blobs.put(b"theirs")
        for wrong in (replace(claim, ref=other.ref), replace(claim, size=3), replace(claim, digest="0" * 64)):
            with pytest.raises(BlobLost):
                await self.blobs.get(wrong)

    async def test_what_was_deleted_is_gone(self) -> None:
        claim = await self.blobs.put(b"x")
        await self.blobs.delete(claim)
        await self.blobs.delete(claim)
        with pytest.raises(BlobLost):
            await self.blobs.get(claim)

    async def test_what_is_forgotten_in_time_is_gone(self) -> None:
        claim = await self.brief.put(b"x")
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.brief.get(claim)
                except BlobLost:
                    return
                await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0.02))})

    async def test_too_much_is_refused(self) -> None:
        with pytest.raises(RequestTooLarge):
            await self.blobs.put(bytes(MAX_BYTES + 1))

    async def test_the_desk_turns_claims_into_header_lines(self) -> None:
        desk = ClaimDesk(self.blobs)
        line = await desk.check_in(b"body")
        assert line.isascii()
        assert "\n" not in line
        assert await desk.claim(line) == b"body"
        await desk.release(line)
        with pytest.raises(BlobLost):
            await desk.claim(line)


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture(autouse=True)
    def make(self) -> None:
        self.blobs, self.brief = MemoryBlobs(), MemoryBlobs(ttl=0.1)


class TestRedisBlobs(BlobsContract):
    @pytest_asyncio.fixture(autouse=True, loop_scope="session")
    async def make(self, servers: Servers) -> AsyncIterator[None]:
        redis = Redis(servers.redis_url)
        self.blobs, self.brief = RedisBlobs(redis), RedisBlobs(redis, ttl=0.1)
        yield
        await self.blobs.close()

    async def test_a_desk_of_its_own(self, servers: Servers) -> None:
        desk = RedisClaims.from_url(servers.redis_url)
        assert await desk.claim(await desk.check_in(b"x")) == b"x"
        await desk.close()

    async def test_it_comes_back_with_redis(self, servers: Servers) -> None:
        await self.blobs.put(b"x")
        await servers.kill("valkey")
        try:
            with pytest.raises(DependencyDown, match=r"Redis at 127\.0\.0\.1") as caught:
                await self.blobs.put(b"x")
            assert caught.value.status == 503
        finally:
            await servers.restart("valkey")
        assert await self.blobs.get(await self.blobs.put(b"x")) == b"x"


@pytest.mark.parametrize("line", ["", "{", "[]", '{"ref":1}', '{"ref":"a","digest":"b","size":"x"}', "\x00"])
async def test_a_line_that_is_no_claim_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest):
        Claim.decode(line)
