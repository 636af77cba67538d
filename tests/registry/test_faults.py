"""Servers that go and come back, and replicas that must agree."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import orjson
import pytest
from caravan_bus.transport import Message
from caravan_contracts.errors import DependencyDown, NotFound, Unavailable
from caravan_contracts.registry import ResourceKind

from tests.registry.bench import Bench

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chaos, pytest.mark.long]


async def test_two_replicas_agree_within_two_seconds(bench: Bench) -> None:
    await bench.registry()
    await bench.registry()
    view = await bench.view()
    for n in range(10):
        await bench.put_provider(f"p{n}")
    async with asyncio.timeout(30):
        await bench.eventually(lambda: len(view.catalog.providers()) == 10)
    # both replicas answer snapshots, at random: every one of twenty must be up to date
    assert {(await bench.snapshot())[0] for _ in range(20)} == {10}


async def test_what_was_read_from_postgres_is_served_while_it_is_gone(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.servers.kill("postgres")
    try:
        assert list((await bench.snapshot())[1]) == ["default/provider/p"]
        with pytest.raises(DependencyDown) as caught:
            await bench.put_provider("q")
        assert caught.value.status == 503
        assert "PostgreSQL at 127.0.0.1" in caught.value.message
        assert "password" not in caught.value.message
        with pytest.raises(DependencyDown):
            await bench.report("p", "m")
        assert list((await bench.snapshot())[1]) == ["default/provider/p"]
    finally:
        await bench.servers.restart("postgres")

    async def accepted() -> bool:
        return bool(await bench.put_provider("q"))

    await bench.eventually(accepted)
    assert list((await bench.snapshot())[1]) == ["default/provider/p", "default/provider/q"]


async def test_a_replica_that_starts_without_postgres_serves_what_lies_in_redis(bench: Bench) -> None:
    first = await bench.registry()
    await bench.put_provider("p")
    await asyncio.wait_for(bench.eventually(lambda: saved(bench, 1)), 30)
    await first.stop()
    await bench.servers.kill("postgres")
    try:
        await bench.registry()
        assert list((await bench.snapshot())[1]) == ["default/provider/p"]
        with pytest.raises(DependencyDown):
            await bench.put_provider("q")
    finally:
        await bench.servers.restart("postgres")

    async def accepted() -> bool:
        return bool(await bench.put_provider("q"))

    await bench.eventually(accepted)


async def test_without_both_it_says_so_and_begins_by_itself_when_they_come(bench: Bench) -> None:
    await bench.servers.kill("postgres")
    try:
        await bench.registry(wait=False, redis_url="")
        with pytest.raises((DependencyDown, Unavailable)):
            await bench.snapshot()
    finally:
        await bench.servers.restart("postgres")
    await bench.eventually(bench.answers)


async def test_redis_costs_nothing_but_speed(bench: Bench) -> None:
    await bench.registry()
    await bench.servers.kill("valkey")
    try:
        for n in range(5):
            await bench.put_provider(f"p{n}")
        assert len((await bench.snapshot())[1]) == 5
    finally:
        await bench.servers.restart("valkey")
    await bench.put_provider("p5")
    await bench.eventually(lambda: saved(bench, 6))


async def test_nats_may_go_and_come_back(bench: Bench) -> None:
    await bench.registry()
    view = await bench.view()
    await bench.put_provider("p")
    await bench.servers.kill("nats")
    await bench.servers.restart("nats")

    async def accepted() -> bool:
        return bool(await bench.put_provider("q"))

    await bench.eventually(accepted)
    await bench.eventually(lambda: len(view.catalog.providers()) == 2)


async def test_a_reader_that_missed_facts_catches_up_by_the_beat(bench: Bench) -> None:
    await bench.registry()
    view = await bench.view()
    await view._subscriptions[0].unsubscribe()  # facts no longer arrive
    await bench.bus.flush()
    await bench.put_provider("p")
    async with asyncio.timeout(30):
        await bench.eventually(lambda: len(view.catalog.providers()) == 1)


async def test_sigterm_leaves_no_request_unanswered(bench: Bench) -> None:
    settings = bench.settings()
    environment = {
        **os.environ,
        "NATS_URL": settings.nats_url,
        "NATS_NKEY_SEED": settings.nats_nkey_seed,
        "DATABASE_URL": settings.database_url,
        "CARAVAN_REGISTRY_STACK": settings.stack,
        "CARAVAN_LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "caravan_registry", env=environment)
    try:
        await bench.eventually(bench.answers, seconds=20)
        await bench.put_provider("p")
        asked = [asyncio.create_task(bench.put_model(f"p/m{n}")) for n in range(100)]
        await bench.eventually(lambda: any(task.done() for task in asked))
        process.send_signal(signal.SIGTERM)
        answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 30)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, Unavailable) for answer in failed), failed  # "no registry is running", at once
    await bench.registry()
    assert len((await bench.snapshot())[1]) == 1 + 100 - len(failed)


async def test_every_replica_is_found_and_counts_honestly(bench: Bench) -> None:
    await bench.registry()
    await bench.registry()
    await bench.put_provider("p")
    with pytest.raises(NotFound):
        await bench.delete(ResourceKind.MODEL, "nothing")
    operator = await bench.connect("operator")
    answers: dict[str, dict[str, Any]] = {}

    def on_answer(message: Message) -> None:
        answer = orjson.loads(message.data)
        answers[answer["id"]] = answer

    await operator.subscribe("_INBOX.operator.srv.*", on_answer)
    await operator.flush()

    async def both_answered() -> bool:  # the second may still be on its way up
        operator.publish("$SRV.STATS.caravan-registry", b"", "_INBOX.operator.srv.1")
        await operator.flush()
        return len(answers) == 2

    await bench.eventually(both_answered)
    endpoints = [endpoint for answer in answers.values() for endpoint in answer["endpoints"]]
    assert {endpoint["subject"].rpartition(".")[2] for endpoint in endpoints} == {
        "snapshot",
        "put",
        "delete",
        "report_models",
    }
    assert sum(e["num_requests"] for e in endpoints if e["name"] == "put") == 1
    assert sum(e["num_errors"] for e in endpoints if e["name"] == "delete") == 1
    assert any(e["last_error"].startswith("404:") for e in endpoints)


async def saved(bench: Bench, revision: int) -> bool:
    from caravan_registry.mirror import Mirror
    from caravan_registry.snapshots import KEY
    from caravan_storage.redis import Redis

    redis = Redis(bench.servers.redis_url)
    try:
        data = await redis.get(KEY)
    finally:
        await redis.close()
    return data is not None and Mirror.undump(data)[0] == revision
