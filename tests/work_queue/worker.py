"""A worker in a process of its own, to be killed: writes down each job, slowly."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from caravan_bus.nats import NatsOptions, connect
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_bus.work.queue import Job

from tests.work_queue.places import SPEC


async def main(url: str, path: Path) -> None:
    transport = await connect(NatsOptions(url, "worker"), patience=10)
    api = JetStream(transport, "worker", "w")
    await api.start()

    async def work(job: Job) -> None:
        await asyncio.sleep(0.02)
        with path.open("a") as file:
            file.write(job.id + "\n")

    await Consumer(JetStreamQueue(api, SPEC), work, ConsumerOptions(at_once=4)).start()
    await asyncio.sleep(60)


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
