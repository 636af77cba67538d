"""The pool outlives its server, and migrations are applied once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from caravan_contracts.errors import DependencyDown
from caravan_storage.migrations import Migration, MigrationError, load, migrate
from caravan_storage.postgres import Postgres, PostgresOptions

from tests.infrastructure.protocol import Servers

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (n int); INSERT INTO one VALUES (1);")
TWO = Migration(2, "0002_two.sql", "ALTER TABLE one ADD COLUMN m int")


@pytest_asyncio.fixture(loop_scope="session")
async def postgres(servers: Servers) -> AsyncIterator[Postgres]:
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute("DROP DATABASE IF EXISTS storage WITH (FORCE)")
    await admin.execute("CREATE DATABASE storage")
    await admin.close()
    made = Postgres(PostgresOptions(servers.database_url.rpartition("/")[0] + "/storage"))
    yield made
    await made.close()


async def test_json_goes_in_and_out(postgres: Postgres) -> None:
    async with postgres.acquire() as connection:
        value = {"a": [1, 2.5, None, "é"]}
        assert await connection.fetchval("SELECT $1::jsonb", value) == value


async def test_a_transaction_that_raises_leaves_nothing(postgres: Postgres) -> None:
    await migrate(postgres, "s", [ONE])

    async def change_and_fail() -> None:
        async with postgres.transaction() as connection:
            await connection.execute("INSERT INTO one VALUES (2)")
            raise KeyError

    with pytest.raises(KeyError):
        await change_and_fail()
    async with postgres.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM one") == 1


@pytest.mark.chaos
async def test_it_says_who_is_down_and_comes_back_by_itself(servers: Servers, postgres: Postgres) -> None:
    await postgres.wait_ready(patience=5)
    await servers.kill("postgres")
    try:
        with pytest.raises(DependencyDown, match=r"PostgreSQL at 127\.0\.0\.1:\d+/storage cannot be used now"):
            async with postgres.acquire() as connection:
                await connection.fetchval("SELECT 1")
        with pytest.raises(DependencyDown):
            await postgres.wait_ready(patience=0.2)
        waiting = asyncio.create_task(postgres.wait_ready())
    finally:
        await servers.restart("postgres")
    await asyncio.wait_for(waiting, 30)


async def test_a_wrong_password_is_told_without_the_password(servers: Servers) -> None:
    place = servers.database_url.rpartition("@")[2]
    wrong = Postgres(PostgresOptions(f"postgresql://caravan:hunter2@{place}"))
    with pytest.raises(DependencyDown, match="password authentication failed") as caught:
        await wrong.wait_ready(patience=0)
    assert "hunter2" not in caught.value.message
    await wrong.close()


async def test_waiting_for_a_connection_has_an_end(servers: Servers) -> None:
    small = Postgres(PostgresOptions(servers.database_url, max_connections=1, acquire_timeout=0.2))
    async with small.acquire():
        with pytest.raises(DependencyDown):
            async with small.acquire():
                pass
    await small.close()


async def test_a_mistake_in_sql_is_no_outage(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with postgres.acquire() as connection:
            await connection.execute("SELEC 1")


class TestMigrations:
    async def test_each_is_applied_once_whoever_starts_first(self, postgres: Postgres) -> None:
        applied = await asyncio.gather(*(migrate(postgres, "s", [ONE, TWO]) for _ in range(6)))
        assert sorted(applied) == [[], [], [], [], [], ["0001_one.sql", "0002_two.sql"]]

    async def test_new_ones_follow(self, postgres: Postgres) -> None:
        assert await migrate(postgres, "s", [ONE]) == ["0001_one.sql"]
        assert await migrate(postgres, "s", [ONE, TWO]) == ["0002_two.sql"]
        assert await migrate(postgres, "other", []) == []

    async def test_a_file_that_was_changed_afterwards_is_told(self, postgres: Postgres) -> None:
        await migrate(postgres, "s", [ONE])
        with pytest.raises(MigrationError, match=r"0001_one\.sql of s was changed after"):
            await migrate(postgres, "s", [replace(ONE, sql=ONE.sql + " ")])

    async def test_one_that_fails_leaves_nothing_behind(self, postgres: Postgres) -> None:
        broken = Migration(2, "0002_broken.sql", "CREATE TABLE two (n int); SELECT nonsense")
        with pytest.raises(MigrationError, match=r"0002_broken\.sql of s failed: .*nonsense"):
            await migrate(postgres, "s", [ONE, broken])
        assert await migrate(postgres, "s", [ONE, TWO]) == ["0001_one.sql", "0002_two.sql"]

    async def test_an_older_program_runs_on_newer_tables(self, postgres: Postgres) -> None:
        await migrate(postgres, "s", [ONE, TWO])
        assert await migrate(postgres, "s", [ONE]) == []

    async def test_the_registrys_files_are_in_order(self) -> None:
        assert [file.version for file in load("caravan_registry.migrations")][:1] == [1]
