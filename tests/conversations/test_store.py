"""Items in PostgreSQL: one order for everybody, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from caravan_agents.conversations.items import Item, prepare
from caravan_agents.conversations.store import Bounds, Store
from caravan_contracts.conversations import PAGE_BYTES, ListConversationItems
from caravan_contracts.errors import InvalidRequest, NotFound
from caravan_contracts.users import AGENTS
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conversations.examples import message
from tests.infrastructure.protocol import Servers

pytestmark = pytest.mark.asyncio(loop_scope="session")
TENANT = "acme"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def postgres(servers: Servers) -> AsyncIterator[Postgres]:
    made = Postgres(PostgresOptions(servers.database_url))
    await migrations.migrate(made, AGENTS, migrations.load("caravan_agents.migrations"))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def store(postgres: Postgres) -> Store:
    return Store(postgres, Bounds())


def items(*texts: str) -> list[Item]:
    return prepare([message(text) for text in texts], 1024 * 1024)


async def begin(store: Store, *texts: str) -> str:
    talk = f"conv_{secrets.token_hex(24)}"
    await store.create(TENANT, talk, {}, items(*texts))
    return talk


def said(rows: list[dict[str, Any]]) -> list[str]:
    return [row["content"][0]["text"] for row in rows]


async def test_writers_at_once_lose_nothing_and_stay_together(store: Store, postgres: Postgres) -> None:
    """Each of eight adds its two items in one go, twice; every replica counts from the same row."""
    other = Store(postgres, Bounds())
    talk = await begin(store)
    writers = [(store, other)[n % 2].append(TENANT, talk, items(f"{n}a", f"{n}b")) for n in range(16)]
    places = await asyncio.gather(*writers)
    assert sorted(place for range_ in places for place in range_) == list(range(32))
    texts = said(await store.read(TENANT, talk))
    assert texts == said(await other.read(TENANT, talk))
    for n, place in enumerate(places):
        assert texts[place.start : place.stop] == [f"{n}a", f"{n}b"]


async def test_a_callers_transaction_takes_it_along(store: Store, postgres: Postgres) -> None:
    talk = await begin(store, "first")

    async def fail() -> None:
        async with postgres.transaction() as connection:
            assert await store.append(TENANT, talk, items("never"), connection) == range(1, 2)
            assert said(await store.read(TENANT, talk, connection)) == ["first", "never"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with postgres.transaction() as connection:
        await store.append(TENANT, talk, items("second"), connection)
        assert said(await store.read(TENANT, talk)) == ["first"], "nobody sees it before the commit"
    assert said(await store.read(TENANT, talk)) == ["first", "second"]


async def test_what_is_refused_leaves_the_callers_transaction_whole(store: Store, postgres: Postgres) -> None:
    talk = await begin(store, "first")
    taken = (await store.read(TENANT, talk))[0]["id"]
    async with postgres.transaction() as connection:
        with pytest.raises(InvalidRequest):
            await store.append(TENANT, talk, prepare([message("again", id=taken)], 1000), connection)
        assert await store.append(TENANT, talk, items("second"), connection) == range(1, 2)
    assert said(await store.read(TENANT, talk)) == ["first", "second"]


async def test_nobody_reads_behind_what_is_not_committed(store: Store, postgres: Postgres) -> None:
    """A later writer waits for an earlier one: an item never appears in front of one that was read."""
    talk = await begin(store)
    async with postgres.transaction() as connection:
        await store.append(TENANT, talk, items("earlier"), connection)
        later = asyncio.create_task(store.append(TENANT, talk, items("later")))
        await asyncio.wait({later}, timeout=0.2)
        assert not later.done()
        assert await store.read(TENANT, talk) == []
    assert await later == range(1, 2)
    assert said(await store.read(TENANT, talk)) == ["earlier", "later"]


async def test_an_id_may_come_again_once_it_is_gone(store: Store) -> None:
    talk = await begin(store)
    mine = prepare([message("one", id="mine")], 1000)
    await store.append(TENANT, talk, mine)
    with pytest.raises(InvalidRequest, match="'mine' already"):
        await store.append(TENANT, talk, [*items("beside"), *mine])
    assert said(await store.read(TENANT, talk)) == ["one"], "all or none"
    await store.append(TENANT, await begin(store), mine)
    await store.remove(TENANT, talk, "mine")
    await store.append(TENANT, talk, items("two"))
    await store.append(TENANT, talk, mine)
    assert said(await store.read(TENANT, talk)) == ["two", "one"]


async def test_a_conversation_has_bounds(postgres: Postgres) -> None:
    small = Store(postgres, Bounds(items=3, bytes=10_000))
    talk = await begin(small, "1", "2")
    with pytest.raises(InvalidRequest, match="may have 3 items") as caught:
        await small.append(TENANT, talk, items("3", "4"))
    assert caught.value.code == "conversation_full"
    await small.append(TENANT, talk, items("3"))
    first = (await small.read(TENANT, talk))[0]["id"]
    await small.remove(TENANT, talk, first)
    with pytest.raises(InvalidRequest, match="of 10000 bytes"):
        await small.append(TENANT, talk, items("x" * 10_000))
    await small.append(TENANT, talk, items("4"))
    assert said(await small.read(TENANT, talk)) == ["2", "3", "4"]
    with pytest.raises(InvalidRequest):
        await begin(small, *"12345")


async def test_a_place_is_kept_for_an_hour(store: Store, postgres: Postgres) -> None:
    talk = await begin(store, *"abc")
    rows = await store.read(TENANT, talk)
    await store.remove(TENANT, talk, rows[0]["id"])
    page, _ = await store.page(TENANT, ListConversationItems(conversation=talk, after=rows[0]["id"], order="asc"))
    assert said(page) == ["b", "c"]
    async with postgres.acquire() as connection:
        await connection.execute(
            "UPDATE agents_conversation_items SET deleted = now() - interval '2 hours' WHERE id = $1", rows[0]["id"]
        )
    await store.remove(TENANT, talk, rows[1]["id"])
    with pytest.raises(NotFound):
        await store.page(TENANT, ListConversationItems(conversation=talk, after=rows[0]["id"]))


async def test_what_is_another_tenants_is_not_there(store: Store) -> None:
    talk = await begin(store, "mine")
    item = (await store.read(TENANT, talk))[0]["id"]
    for call in (
        store.get("other", talk),
        store.describe("other", talk, {}),
        store.forget("other", talk),
        store.append("other", talk, items("x")),
        store.read("other", talk),
        store.page("other", ListConversationItems(conversation=talk)),
        store.item("other", talk, item),
        store.remove("other", talk, item),
    ):
        with pytest.raises(NotFound):
            await call
    assert said(await store.read(TENANT, talk)) == ["mine"]


async def test_a_conversation_that_is_forgotten_leaves_nothing(store: Store, postgres: Postgres) -> None:
    talk = await begin(store, "a", "b")
    async with postgres.acquire() as connection:
        number = await connection.fetchval("SELECT number FROM agents_conversations WHERE id = $1", talk)
        await store.forget(TENANT, talk)
        left = "SELECT count(*) FROM agents_conversation_items WHERE conversation = $1"
        assert await connection.fetchval(left, number) == 0
    for call in (store.read(TENANT, talk), store.append(TENANT, talk, items("x")), store.forget(TENANT, talk)):
        with pytest.raises(NotFound):
            await call


@given(
    sizes=st.lists(st.sampled_from([5, 5, 5, 200_000, 500_000]), max_size=25),
    limit=st.integers(1, 100),
    order=st.sampled_from(["asc", "desc"]),
    gone=st.sets(st.integers(0, 24)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_give_each_item_once(
    store: Store, sizes: list[int], limit: int, order: Any, gone: set[int]
) -> None:
    """Wherever a page begins, however long it may be; also behind items that are taken out on the way."""
    talk = await begin(store)
    for number, size in enumerate(sizes):
        await store.append(TENANT, talk, items(f"{number}:{'x' * size}"))
    whole = said(await store.read(TENANT, talk))
    if order == "desc":
        whole.reverse()
    seen: list[str] = []
    after, more = "", True
    while more:
        asked = ListConversationItems(conversation=talk, after=after, limit=limit, order=order)
        page, more = await store.page(TENANT, asked)
        assert len(page) <= limit
        assert len(page) == 1 or sum(len(orjson.dumps(row)) for row in page) <= PAGE_BYTES
        assert page or not more
        seen += said(page)
        if page:
            after = page[-1]["id"]
            if int(seen[-1].partition(":")[0]) in gone:
                await store.remove(TENANT, talk, after)
    assert seen == whole
