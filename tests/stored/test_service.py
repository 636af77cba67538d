"""The agents service beside real servers: what it does with jobs, what it forgets, and who may touch its queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio
from caravan_agents.completions.sweeping import Sweeper
from caravan_bus.work.api import JetStream
from caravan_bus.work.queue import Job
from caravan_contracts import completions as c
from caravan_contracts import headers as h
from caravan_contracts.context import Principal
from caravan_contracts.errors import CaravanError, NotFound
from caravan_contracts.work import COMPLETIONS
from caravan_storage.postgres import Postgres, PostgresOptions

from tests.infrastructure import choice
from tests.stored.bench import Bench
from tests.work_queue.places import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("agents")) as servers:
        made = Bench(servers)
        await made.start()
        yield made
        await made.close()


def job(name: str, answer: Any = None, request: Any = None, tenant: str = "acme", **head: Any) -> Job:
    told = {"at": time.time(), "stream": False, "model": "m", **head}
    answer = answer if answer is not None else {"id": f"id-{name}", "choices": [], "model": "m", "created": 5}
    request = request if request is not None else {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    data = c.encode_job(
        c.Head(**told), orjson.dumps(request), answer if isinstance(answer, bytes) else orjson.dumps(answer)
    )
    return Job(name, data, {h.PRINCIPAL: Principal(tenant).encode(), h.REQUEST_ID: "req_1"})


async def test_a_job_that_comes_twice_is_one_completion(bench: Bench) -> None:
    for _ in range(2):
        bench.outbox.put(job("twice"))
    # beyond the window in which the queue itself knows it again, the row does
    bench.outbox.put(replace(job("twice-more"), id="other"))
    assert (await bench.get("id-twice"))["request_id"] == "req_1"
    rows = await rows_of(bench, "id-twice")
    assert len(rows) == 1


async def rows_of(bench: Bench, id: str) -> list[Any]:
    connection = await asyncpg.connect(bench.servers.database_url)
    try:
        return list(await connection.fetch("SELECT * FROM agents_completions WHERE id = $1", id))
    finally:
        await connection.close()


async def test_two_answers_of_one_id_are_both_kept(bench: Bench) -> None:
    """A provider may use an id again; the newest answers to it."""
    for n in (1, 2):
        bench.outbox.put(job(f"same{n}", {"id": "id-same", "choices": [], "model": f"m{n}", "created": n}))
        await eventually(lambda n=n: newest_is(bench, f"m{n}"))
    assert len(await rows_of(bench, "id-same")) == 2
    await bench.ask("delete_completion", c.DeleteCompletion(id="id-same"), c.CompletionDeleted)
    with pytest.raises(NotFound):
        await bench.get("id-same")


async def newest_is(bench: Bench, model: str) -> bool:
    return bool((await bench.get("id-same"))["model"] == model)


async def test_a_deleted_completion_does_not_come_back_with_its_job(bench: Bench) -> None:
    bench.outbox.put(job("ghost"))
    await bench.get("id-ghost")
    await bench.ask("delete_completion", c.DeleteCompletion(id="id-ghost"), c.CompletionDeleted)
    again = replace(job("ghost"), headers={**job("ghost").headers})
    api = JetStream(bench.transports[0], "gateway", "gw-again")
    await api.start()
    await api.publish(COMPLETIONS.subject, again.data, {**again.headers, "Nats-Msg-Id": "ghost"})
    with pytest.raises(NotFound):
        await bench.get("id-ghost")
    await api.close()


async def test_a_completion_without_an_id_or_with_odd_text_is_kept(bench: Bench) -> None:
    odd = "zero \0, lone half, \u2028 and \U0001f600"
    bench.outbox.put(
        job(
            "noid",
            {"choices": [{"index": 0, "message": {"content": odd}}]},
            {"model": "a\0b", "messages": [{"role": "user", "content": odd}]},
        )
    )
    found = await bench.get("chatcmpl-noid")
    assert found["choices"][0]["message"]["content"] == odd
    assert found["input_messages"][0]["content"] == odd
    assert found["created"] > 1_700_000_000


@pytest.mark.parametrize("answer", [b"no json", b"[]", b'{"choices": 1}', {"error": "x"}])
async def test_what_is_no_completion_is_put_aside(bench: Bench, answer: Any) -> None:
    name = f"bad{abs(hash(str(answer))) % 10**6}"
    bench.outbox.put(job(name, answer))
    bench.outbox.put(job(f"{name}after"))
    assert await bench.get(f"id-{name}after")


@pytest.mark.long
async def test_postgres_may_be_away_for_long(bench: Bench) -> None:
    """Longer than a job may be silent: it stays with its worker, and costs none of its tries."""
    await bench.servers.kill("postgres")
    try:
        for n in range(30):
            assert bench.outbox.put(job(f"patient{n}"))
        assert await bench.outbox.settled(5.0)
        with pytest.raises(CaravanError) as caught:
            await bench.get("id-patient1")
        assert caught.value.status == 503
        await asyncio.sleep(COMPLETIONS.ack_wait + 2)  # time itself is what is tested
    finally:
        await bench.servers.restart("postgres")
    await eventually(lambda: bench.get("id-patient29"), 20)
    for n in range(30):
        await eventually(lambda n=n: bench.get(f"id-patient{n}"))
        assert len(await rows_of(bench, f"id-patient{n}")) == 1


async def test_what_is_old_or_too_much_is_forgotten(bench: Bench) -> None:
    for n in range(6):
        bench.outbox.put(job(f"crowd{n}", tenant="crowd"))
        await bench.get(f"id-crowd{n}", Principal("crowd"))
    postgres = Postgres(PostgresOptions(bench.servers.database_url))
    try:
        await Sweeper(postgres, days=30, most=4).sweep()
        kept = await bench.ask("list_completions", c.ListCompletions(), c.CompletionPage, Principal("crowd"))
        assert [row.id for row in kept.rows] == [f"id-crowd{n}" for n in range(2, 6)]
        async with postgres.acquire() as connection:
            await connection.execute(
                "UPDATE agents_completions SET stored = now() - interval '31 days' WHERE id = 'id-crowd3'"
            )
        assert await Sweeper(postgres, days=30, most=100).sweep() == 1
        assert await Sweeper(postgres, days=30, most=100).sweep() == 0
    finally:
        await postgres.close()


async def test_a_reply_never_outgrows_the_bus(bench: Bench) -> None:
    """Forty objects of 100 KB are several pages, whatever the limit."""
    who = Principal("large")
    for n in range(40):
        bench.outbox.put(
            job(
                f"large{n}",
                {"id": f"id-large{n:02}", "created": n + 1, "choices": [], "x": "y" * 100_000},
                tenant="large",
            )
        )
    seen: list[str] = []
    while True:
        asked = c.ListCompletions(limit=100, after=seen[-1] if seen else "")
        page: c.CompletionPage = await bench.ask("list_completions", asked, c.CompletionPage, who)
        seen += [row.id for row in page.rows]
        if not page.has_more:
            break
    assert seen == [f"id-large{n:02}" for n in range(40)]


async def test_a_piece_is_for_its_tenant_alone(bench: Bench) -> None:
    bench.outbox.put(job("mine"))
    row = await bench.ask("get_completion", c.GetCompletion(id="id-mine"), c.CompletionRow)
    ask = c.ReadCompletionPiece(ref=row.ref, offset=0)
    assert (await bench.ask("read_completion_piece", ask, c.CompletionPiece)).data
    for ref in (row.ref, f"{row.ref}.0"):
        with pytest.raises(NotFound):
            await bench.ask(
                "read_completion_piece", c.ReadCompletionPiece(ref=ref, offset=0), c.CompletionPiece, Principal("other")
            )
    for bad in ("x", "1.x", "9" * 30, ""):
        with pytest.raises(CaravanError) as caught:
            await bench.ask("read_completion_piece", c.ReadCompletionPiece(ref=bad, offset=0), c.CompletionPiece)
        assert caught.value.status == 400


@pytest.mark.parametrize("user", ["gateway", "registry", "inference", "recorder", "replay"])
async def test_nobody_else_may_touch_the_queue(bench: Bench, user: str) -> None:
    """The server refuses: what was asked is never answered."""
    transport = await bench.connect(user)
    api = JetStream(transport, user, f"{user}-try")
    await api.start()
    stream = COMPLETIONS.stream
    asked = {
        f"STREAM.INFO.{stream}": None,
        f"STREAM.DELETE.{stream}": None,
        f"STREAM.PURGE.{stream}": None,
        f"CONSUMER.DELETE.{stream}.agents": None,
        "STREAM.CREATE.MINE": {"name": "MINE", "subjects": ["caravan.>"]},
        "STREAM.NAMES": None,
    }
    silent = [asyncio.create_task(api.ask(verb, body)) for verb, body in asked.items()]
    await asyncio.wait(silent, timeout=1.0)
    assert not any(task.done() for task in silent), f"{user} was answered"
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
    await api.close()


async def test_its_own_worker_may_not_touch_more_than_its_queue(bench: Bench) -> None:
    api = JetStream(await bench.connect("agents"), "agents", "agents-try")
    await api.start()
    assert (await api.ask(f"STREAM.INFO.{COMPLETIONS.stream}"))["config"]["name"] == COMPLETIONS.stream
    verbs = (f"STREAM.DELETE.{COMPLETIONS.stream}", "STREAM.CREATE.MINE", "STREAM.NAMES", "STREAM.INFO.KV_x")
    silent = [asyncio.create_task(api.ask(verb, {"name": "MINE"})) for verb in verbs]
    await asyncio.wait(silent, timeout=1.0)
    assert not any(task.done() for task in silent)
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
    await api.close()
