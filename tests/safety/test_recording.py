"""Rows of the audit, in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from caravan_bus.work.queue import Job, JobRefused
from caravan_contracts.errors import DependencyDown
from caravan_contracts.safety import Action, ListVerdicts, Stage, VerdictFact, VerdictRows
from caravan_safety.recording import Recorder
from caravan_safety.store import Store
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions

from tests.infrastructure import choice

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Counted(Store):
    """Knows how many statements it made; `down` once."""

    statements = 0
    down = False

    async def add(self, facts: Sequence[VerdictFact]) -> None:
        self.statements += 1
        if self.down:
            self.down = False
            raise DependencyDown("away")
        await super().add(facts)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("servers")) as servers:
        made = Postgres(PostgresOptions(servers.database_url))
        await made.wait_ready(30)
        await migrations.migrate(made, "safety", migrations.load("caravan_safety.migrations"))
        yield made
        await made.close()


def fact(id: str, tenant: str, at: float | None = None, **more: Any) -> VerdictFact:
    given = {"subject": "ada", "request_id": "r", "guardrail": "", "shield": "pii", "flagged": False, **more}
    return VerdictFact(
        id=id, tenant=tenant, at=time.time() if at is None else at, stage=Stage.INPUT, action=Action.BLOCK, **given
    )


def job(*facts: VerdictFact) -> Job:
    return Job(facts[0].id, VerdictRows(data=list(facts)).model_dump_json().encode())


async def ids(store: Store, tenant: str, **more: Any) -> list[str]:
    return [each.id for each in (await store.page(tenant, ListVerdicts(**more))).data]


async def test_many_jobs_are_few_statements(postgres: Postgres) -> None:
    store = Counted(postgres)
    recorder = Recorder(store, 3600, 60)
    await asyncio.gather(*(recorder.keep(job(fact(f"v{i}", "many"))) for i in range(200)))
    assert len(await ids(store, "many", limit=500)) == 200
    assert store.statements < 10


async def test_a_job_that_comes_twice_is_one_row(postgres: Postgres) -> None:
    recorder = Recorder(Store(postgres), 3600, 60)
    for _ in range(2):
        await recorder.keep(job(fact("v1", "twice"), fact("v2", "twice")))
    assert len(await ids(Store(postgres), "twice")) == 2


async def test_a_job_is_kept_when_its_rows_are_committed_and_not_before(postgres: Postgres) -> None:
    store = Counted(postgres)
    store.down = True
    recorder = Recorder(store, 3600, 60)
    with pytest.raises(DependencyDown):
        await recorder.keep(job(fact("v1", "down")))
    await recorder.keep(job(fact("v1", "down")))
    assert await ids(store, "down") == ["v1"]


async def test_what_is_no_job_of_this_queue_is_put_aside(postgres: Postgres) -> None:
    with pytest.raises(JobRefused):
        await Recorder(Store(postgres), 3600, 60).keep(Job("x", b"{}"))


async def test_no_name_that_a_stranger_chose_keeps_other_rows_out(postgres: Postgres) -> None:
    """PostgreSQL knows no NUL: one such row would fail with all that are written with it, again and again."""
    names = {"model": "up/\0" + "m" * 5000, "request_id": "r\0", "categories": {"c\0": 1.0}, "error": "e\0"}
    store = Store(postgres)
    recorder = Recorder(store, 3600, 60)
    await asyncio.gather(recorder.keep(job(fact("v1", "nul", **names))), recorder.keep(job(fact("v2", "nul"))))
    rows = {each.id: each for each in (await store.page("nul", ListVerdicts())).data}
    assert rows.keys() == {"v1", "v2"}
    assert rows["v1"].model.startswith("up/\ufffdm")
    assert len(rows["v1"].model) == 1024


async def test_pages_are_of_one_tenant_and_newest_first(postgres: Postgres) -> None:
    store, now = Store(postgres), time.time()
    await store.add(
        [fact(f"p{i}", "pages", now + i, flagged=i % 2 == 0, shield="a" if i < 2 else "b") for i in range(4)]
    )
    await store.add([fact("p9", "elsewhere", now + 9)])
    assert await ids(store, "pages") == ["p3", "p2", "p1", "p0"]
    assert await ids(store, "pages", flagged=True) == ["p2", "p0"]
    assert await ids(store, "pages", flagged=False, shield="a") == ["p1"]
    first = await store.page("pages", ListVerdicts(limit=3))
    assert first.has_more
    assert await ids(store, "pages", after="p1") == ["p0"]


async def test_old_rows_are_forgotten(postgres: Postgres) -> None:
    store, now = Store(postgres), time.time()
    await store.add([fact("old", "age", now - 7200), fact("new", "age", now)])
    assert not await store.forget(3600)
    assert await ids(store, "age") == ["new"]
