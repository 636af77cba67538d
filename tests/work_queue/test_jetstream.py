"""What only a real server can show."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_bus.work.queue import Job
from caravan_contracts import subjects as s

from tests.work_queue.places import SPEC, NatsPlace, eventually, job

pytestmark = pytest.mark.chaos
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsPlace]:
    made = NatsPlace(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_nothing_is_lost_when_workers_are_killed(nats: NatsPlace, tmp_path: Path) -> None:
    """kill -9 of a worker in mid-job, again and again: every job is done, and none that was acknowledged runs again."""
    queue = await nats.connect()
    done = tmp_path / "done"
    done.touch()
    names = [f"j{n}" for n in range(60)]
    await asyncio.gather(*(queue.send(job(name)) for name in names))

    async def worker() -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "tests.work_queue.worker", nats.server.url, str(done)]
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT)

    running = await worker()
    try:
        for goal in (10, 25, 40):
            await eventually(lambda goal=goal: len(done.read_text().split()) >= goal, 20)
            os.kill(running.pid, signal.SIGKILL)
            await running.wait()
            running = await worker()
        await eventually(lambda: set(done.read_text().split()) == set(names), 20)
    finally:
        running.kill()
        await running.wait()
    runs = done.read_text().split()
    assert len(runs) - len(set(runs)) <= 3 * 4, "only what was under way at a kill may run twice"


async def test_parts_are_gone_once_their_job_is_done(nats: NatsPlace) -> None:
    queue = await nats.connect()
    await queue.send(job("large", bytes(2 * 1024**2)))
    js = nats.transports[0].client.jetstream()
    assert (await js.stream_info(SPEC.parts_stream)).state.messages == 4
    (delivery,) = await queue.take(1, 2.0)
    delivery.done()

    async def gone() -> bool:
        return (await js.stream_info(SPEC.parts_stream)).state.messages == 0

    await eventually(gone)


async def test_a_job_whose_parts_are_lost_ends_among_the_dead(nats: NatsPlace) -> None:
    queue = await nats.connect()
    await queue.send(job("large", bytes(2 * 1024**2)))
    js = nats.transports[0].client.jetstream()
    await js.purge_stream(SPEC.parts_stream, subject=s.work_parts(SPEC.name, "large"))

    async def dead() -> bool:
        assert await queue.take(1, 0.5) == []
        return len(await nats.dead()) == 1

    await eventually(dead)
    ((name, reason),) = await nats.dead()
    assert name == "large" and "part 0 of 4" in reason


async def test_bounds_that_changed_are_brought_up_to_date_and_jobs_stay(nats: NatsPlace) -> None:
    queue = await nats.connect()
    await queue.send(job("kept"))
    larger = JetStreamQueue(await nats.api(), replace(SPEC, max_bytes=8 * 1024**2, ack_wait=5.0))
    await larger.declare()
    info = await nats.transports[0].client.jetstream().stream_info(SPEC.stream)
    assert info.config.max_bytes == 8 * 1024**2
    assert [d.job.id for d in await larger.take(1, 2.0)] == ["kept"]


async def test_a_queue_that_vanished_is_made_again(nats: NatsPlace) -> None:
    queue = await nats.connect()
    did: list[str] = []

    async def work(given: Job) -> None:
        did.append(given.id)

    consumer = Consumer(queue, work, ConsumerOptions(first_pause=0.02, longest_pause=0.1))
    await consumer.start()
    await eventually(lambda: consumer.problem == "")
    await nats.transports[0].client.jetstream().delete_stream(SPEC.stream)

    async def sent() -> None:
        await queue.send(job("again"))

    await eventually(sent, 20)
    await eventually(lambda: did == ["again"], 20)
    await consumer.drain(1.0)
