"""Redis's protocol as much as values need of it: any cutting of its bytes, servers that err, connections that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_storage.resp import Address, Pool, Replies, Reply, RespError, RespLost
from hypothesis import given
from hypothesis import strategies as st

from tests.infrastructure.protocol import Servers

on_the_servers_loop = pytest.mark.asyncio(loop_scope="session")

lines = st.binary(max_size=100).filter(lambda line: b"\r" not in line and b"\n" not in line)
values = st.binary(max_size=300) | st.integers(3000, 9000).map(lambda size: b"\r\n$5" * (size // 4))
replies = st.one_of(
    st.just((None, b"$-1\r\n")),
    st.integers(-9, 9**12).map(lambda number: (number, b":%d\r\n" % number)),
    lines.map(lambda line: (line, b"+%b\r\n" % line)),
    values.map(lambda value: (value, b"$%d\r\n%b\r\n" % (len(value), value))),
)


def read(reader: Replies, data: bytes, cuts: list[int]) -> Reply:
    """The one reply in `data`, which comes in pieces of `cuts` bytes and less where there is no more room."""
    at, number = 0, 0
    while at < len(data):
        room = reader.room()
        size = min(len(room), len(data) - at, cuts[number % len(cuts)])
        room[:size] = data[at : at + size]
        at, number = at + size, number + 1
        found = reader.took(size)
        if found is not None:
            assert at == len(data), "before its end"
            return found[0]
    raise AssertionError("it has no end")


@given(st.lists(replies, min_size=1, max_size=5), st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_any_cutting_gives_the_same_replies(made: list[tuple[Reply, bytes]], cuts: list[int]) -> None:
    reader = Replies()
    for reply, data in made:
        assert read(reader, data, cuts) == reply
        with pytest.raises(RespError, match="OOM no more"):
            read(reader, b"-OOM no more\r\n", cuts)


@pytest.mark.parametrize(
    "data",
    [
        b"$x\r\n",
        b"*1\r\n",
        b"HTTP/1.1 400\r\n",
        b":\r\n",
        b"+OK\r\n+OK\r\n",
        b"$1\r\nabcd",
        b"$1\r\nabc",
        b"a" * 4096,
        b"$9999999999\r\n",
    ],
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(RespLost, match="no Redis"):
        read(Replies(), data, [5000])


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", Address("h", 6379)),
        ("redis://u%40x:p%2Fw@h:1/3", Address("h", 1, "u@x", "p/w", 3)),
        ("redis://:pw@[::1]:1", Address("::1", 1, "", "pw")),
        ("rediss://h", None),
        ("unix:///tmp/x", None),
        ("redis://h?protocol=3", None),
        ("redis://h/name", None),
    ],
)
def test_which_addresses_are_plain(url: str, address: Address | None) -> None:
    assert Address.of(url) == address


@pytest_asyncio.fixture(loop_scope="session")
async def pool(servers: Servers) -> AsyncIterator[Pool]:
    address = Address.of(servers.redis_url)
    assert address is not None
    made = Pool(address, 2.0, 4)
    yield made
    made.close()


@on_the_servers_loop
async def test_values_of_any_size_come_back_beside_each_other(pool: Pool) -> None:
    async def both(number: int) -> None:
        key, value = b"resp-%d" % number, b"%d" % number * (number * 40_000)
        assert await pool.ask(b"SET", key, value, b"PX", b"60000") == b"OK"
        assert await pool.ask(b"GET", key) == value
        assert await pool.ask(b"DEL", key) == 1
        assert await pool.ask(b"GET", key) is None

    async with asyncio.timeout(30):
        await asyncio.gather(*(both(number) for number in range(12)))
    assert all(connection._answer is None for connection in pool._idle), "an idle connection keeps no value"


@on_the_servers_loop
async def test_a_refusal_keeps_its_connection(pool: Pool) -> None:
    number = await pool.ask(b"CLIENT", b"ID")
    with pytest.raises(RespError, match="ERR"):
        await pool.ask(b"SET", b"only a key")
    assert await pool.ask(b"CLIENT", b"ID") == number


@on_the_servers_loop
async def test_a_connection_that_the_server_closed_is_replaced(pool: Pool, servers: Servers) -> None:
    address = Address.of(servers.redis_url)
    assert address is not None
    other = Pool(address, 2.0, 1)
    number = await pool.ask(b"CLIENT", b"ID")
    assert await other.ask(b"CLIENT", b"KILL", b"ID", b"%d" % int(str(number))) == 1
    async with asyncio.timeout(30):
        assert await pool.ask(b"CLIENT", b"ID") != number
    other.close()


@on_the_servers_loop
async def test_who_gives_up_leaves_no_answer_to_the_next(pool: Pool) -> None:
    value = b"v" * 3_000_000
    await pool.ask(b"SET", b"resp-large", value)
    for turns in range(6):
        asking = asyncio.create_task(pool.ask(b"GET", b"resp-large"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await pool.ask(b"GET", b"nothing") is None
    assert await pool.ask(b"DEL", b"resp-large") == 1


@on_the_servers_loop
async def test_a_wrong_password_and_a_database_are_told(servers: Servers) -> None:
    address = Address.of(servers.redis_url)
    assert address is not None
    wrong = Pool(Address(address.host, address.port, "nobody", "wrong"), 2.0, 1)
    with pytest.raises(RespError, match="WRONGPASS"):
        await wrong.ask(b"GET", b"x")
    second = Pool(Address(address.host, address.port, address.user, address.password, 1), 2.0, 1)
    await second.ask(b"SET", b"resp-second", b"x", b"PX", b"60000")
    first = Pool(address, 2.0, 1)
    assert await first.ask(b"GET", b"resp-second") is None
    assert await second.ask(b"DEL", b"resp-second") == 1
    for each in (wrong, second, first):
        each.close()


@on_the_servers_loop
async def test_what_is_under_way_when_the_pool_closes_is_closed_behind_its_answer(servers: Servers) -> None:
    address = Address.of(servers.redis_url)
    assert address is not None
    leaving = Pool(address, 2.0, 1)
    asking = asyncio.create_task(leaving.ask(b"CLIENT", b"ID"))
    await asyncio.sleep(0)
    leaving.close()
    async with asyncio.timeout(30):
        assert isinstance(await asking, int)
    assert not leaving._idle
