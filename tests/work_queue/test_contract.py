"""What every work queue does, in memory and in JetStream."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.outbox import Outbox, OutboxOptions
from caravan_bus.work.queue import Delivery, Depth, Job, JobRefused, QueueFull, TryLater
from caravan_contracts.errors import CaravanError, DependencyDown, RequestTooLarge

from tests.work_queue.places import Place, eventually, job

QUICK = ConsumerOptions(at_once=4, first_pause=0.01, longest_pause=0.05)


class Worker:
    """Does jobs by writing them down."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.at_once = 0
        self.most = 0
        self.fail: dict[str, list[Exception]] = {}
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, given: Job) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.hold.wait()
            if self.fail.get(given.id):
                raise self.fail[given.id].pop(0)
            self.did.append(given.id)
        finally:
            self.at_once -= 1


async def test_a_job_comes_as_it_was_sent_and_leaves_when_it_is_done(place: Place) -> None:
    queue = await place.connect()
    await queue.send(job("one", b"\0bytes\xff"))
    (delivery,) = await queue.take(5, 2.0)
    assert (delivery.job.data, delivery.number) == (b"\0bytes\xff", 1)
    assert delivery.job.headers["Caravan-Request-Id"] == "req_one"
    assert await queue.depth() == Depth(0, 1)
    delivery.done()
    await eventually(lambda: empty(place))
    assert await queue.take(5, 0.8) == []


async def empty(place: Place) -> bool:
    return await (await place.connect()).depth() == Depth(0, 0)


async def test_one_id_is_one_job(place: Place) -> None:
    queue = await place.connect()
    for _ in range(3):
        await queue.send(job("same"))
    assert len(await queue.take(5, 2.0)) == 1
    assert await queue.take(5, 0.1) == []


async def test_a_job_of_any_size_comes_whole(place: Place) -> None:
    queue = await place.connect()
    large = bytes(range(256)) * 4096 * 3  # 3 MiB
    await queue.send(job("large", large))
    await queue.send(job("small"))
    got = {d.job.id: d for d in await queue.take(2, 5.0)}
    while len(got) < 2:
        got |= {d.job.id: d for d in await queue.take(2, 5.0)}
    assert got["large"].job.data == large
    for delivery in got.values():
        delivery.done()
    await eventually(lambda: empty(place))


async def test_what_is_over_the_bound_is_refused(place: Place) -> None:
    queue = await place.connect()
    with pytest.raises(RequestTooLarge):
        await queue.send(Job("huge", bytes(place.spec.max_job + 1)))


async def test_a_full_queue_refuses_and_keeps_what_it_has(place: Place) -> None:
    queue = await place.connect()

    async def fill() -> None:
        for n in range(100):
            await queue.send(job(f"j{n}", bytes(300_000)))

    with pytest.raises(QueueFull) as caught:
        await fill()
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    kept = (await queue.depth()).waiting
    assert 5 < kept < 20
    worker = Worker()
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await eventually(lambda: len(worker.did) == kept)
    await consumer.drain(1.0)


async def test_a_worker_without_jobs_is_ready_as_soon_as_its_queue_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, looked = await place.connect(), asyncio.Event()

    async def nothing(most: int, seconds: float) -> list[Delivery]:
        looked.set()
        return await asyncio.Event().wait() and []

    monkeypatch.setattr(queue, "take", nothing)
    consumer = Consumer(queue, Worker(), QUICK)
    assert consumer.problem
    await consumer.start()
    await asyncio.wait_for(looked.wait(), 30)
    assert not consumer.problem
    await consumer.drain(1.0)


async def test_two_workers_share_a_queue_and_each_job_is_done_once(place: Place) -> None:
    sender = await place.connect()
    workers = [Worker(), Worker()]
    consumers = [Consumer(await place.connect(), worker, QUICK) for worker in workers]
    for consumer in consumers:
        await consumer.start()
    names = [f"j{n}" for n in range(60)]
    await asyncio.gather(*(sender.send(job(name)) for name in names))
    await eventually(lambda: sum(len(worker.did) for worker in workers) == 60)
    assert sorted(workers[0].did + workers[1].did) == sorted(names)
    assert all(worker.most <= 4 for worker in workers)
    await eventually(lambda: empty(place))
    for consumer in consumers:
        await consumer.drain(1.0)


async def test_a_worker_takes_no_more_than_it_may(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.hold.clear()
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    for n in range(10):
        await queue.send(job(f"j{n}"))
    await eventually(lambda: worker.at_once == 4)
    assert (await queue.depth()) == Depth(6, 4)
    worker.hold.set()
    await eventually(lambda: len(worker.did) == 10)
    assert worker.most == 4
    await consumer.drain(1.0)


async def test_a_worker_has_no_more_bytes_than_it_may(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.hold.clear()
    wide = Consumer(await place.connect(), worker, ConsumerOptions(at_once=4, max_bytes=1000, first_pause=0.01))
    await queue.send(job("a", bytes(1000)))
    await wide.start()
    await eventually(lambda: worker.at_once == 1)
    await queue.send(job("b", bytes(1000)))
    await queue.send(job("c", bytes(1000)))
    await asyncio.sleep(0.3)  # that nothing happens takes time
    assert worker.at_once == 1
    worker.hold.set()
    await eventually(lambda: sorted(worker.did) == ["a", "b", "c"])
    await wide.drain(1.0)


async def test_a_long_job_is_not_given_to_another_while_its_worker_lives(place: Place) -> None:
    queue, first, second = await place.connect(), Worker(), Worker()
    first.hold.clear()
    one = Consumer(queue, first, QUICK)
    await one.start()
    await queue.send(job("long"))
    await eventually(lambda: first.at_once == 1)
    two = Consumer(await place.connect(), second, QUICK)
    await two.start()
    await asyncio.sleep(place.spec.ack_wait * 3)  # time itself is what is tested
    first.hold.set()
    await eventually(lambda: empty(place))
    assert (first.did, second.did) == (["long"], [])
    await one.drain(1.0)
    await two.drain(1.0)


async def test_a_job_whose_worker_says_nothing_more_goes_to_another(place: Place) -> None:
    dying, worker = await place.connect(), Worker()
    await dying.send(job("orphan"))
    assert len(await dying.take(1, 2.0)) == 1  # and never another word
    consumer = Consumer(await place.connect(), worker, QUICK)
    await consumer.start()
    await eventually(lambda: worker.did == ["orphan"])
    await eventually(lambda: empty(place))
    await consumer.drain(1.0)


async def test_a_draining_worker_finishes_what_it_has_and_gives_back_the_rest_at_once(place: Place) -> None:
    queue, slow, quick = await place.connect(), Worker(), Worker()
    slow.hold.clear()
    consumer = Consumer(queue, slow, QUICK)
    await consumer.start()
    await queue.send(job("stuck"))
    await eventually(lambda: slow.at_once == 1)
    await consumer.drain(0.05)
    other = await place.connect()
    began = asyncio.get_running_loop().time()
    (delivery,) = await other.take(1, 5.0)
    assert asyncio.get_running_loop().time() - began < place.spec.ack_wait
    assert delivery.number == 2
    delivery.done()
    assert quick.did == []


async def test_a_failing_job_is_tried_again_and_ends_among_the_dead(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"flaky": [ValueError("once")], "poison": [ValueError(f"no {n}\nreally") for n in range(9)]}
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await queue.send(job("poison"))
    await queue.send(job("flaky"))
    await eventually(lambda: worker.did == ["flaky"])
    await eventually(lambda: empty(place))
    assert [name for name, _ in await place.dead()] == ["poison"]
    assert "no 2" in (await place.dead())[0][1]
    assert len(worker.fail["poison"]) == 9 - place.spec.max_deliver
    await consumer.drain(1.0)


async def test_a_job_that_nobody_can_do_is_put_aside_at_once(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"bad": [JobRefused("it is no job of ours")]}
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await queue.send(job("bad"))
    await eventually(lambda: empty(place))
    assert await place.dead() == [("bad", "it is no job of ours")]
    await consumer.drain(1.0)


async def test_a_job_that_is_given_back_comes_again_when_its_pause_is_over(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"later": [TryLater("not now", retry_after=0.5)]}
    consumer = Consumer(queue, worker, ConsumerOptions(at_once=1, first_pause=0.01, longest_pause=0.05))
    await consumer.start()
    began = asyncio.get_running_loop().time()
    await queue.send(job("later"))
    await queue.send(job("other"))
    await eventually(lambda: worker.did == ["other"])  # its pause keeps no slot
    await eventually(lambda: worker.did == ["other", "later"])
    assert asyncio.get_running_loop().time() - began > 0.4
    await eventually(lambda: empty(place))
    assert await place.dead() == []
    await consumer.drain(1.0)


async def test_a_job_that_is_given_back_for_ever_ends_among_the_dead(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"never": [TryLater("not now", retry_after=0.01) for _ in range(9)]}
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await queue.send(job("never"))
    await eventually(lambda: empty(place))
    assert await place.dead() == [("never", "not now")]
    await consumer.drain(1.0)


async def test_a_dependency_that_is_down_costs_a_job_none_of_its_tries(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"patient": [DependencyDown("PostgreSQL is away") for _ in range(12)]}
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await queue.send(job("patient"))
    await eventually(lambda: worker.did == ["patient"])
    await eventually(lambda: empty(place))
    assert await place.dead() == []
    await consumer.drain(1.0)


async def test_a_job_that_kills_its_workers_ends_among_the_dead(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    await queue.send(job("killer"))
    for _ in range(place.spec.max_deliver):
        assert len(await queue.take(1, 3.0)) == 1
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    await eventually(lambda: empty(place))
    ((name, reason),) = await place.dead()
    assert name == "killer" and "3 times" in reason
    assert worker.did == []
    await consumer.drain(1.0)


async def test_what_was_kept_survives_the_server(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    consumer = Consumer(queue, worker, QUICK)
    await asyncio.gather(*(queue.send(job(f"j{n}", bytes(1000))) for n in range(20)))
    await place.kill()
    await place.start()
    await consumer.start()
    await eventually(lambda: len(worker.did) == 20)
    await queue.send(job("after"))
    await eventually(lambda: "after" in worker.did, 15)
    await consumer.drain(1.0)


async def test_jobs_put_while_the_server_is_away_arrive_when_it_is_back(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    outbox = Outbox(queue, OutboxOptions(first_pause=0.02, longest_pause=0.1))
    await place.kill()
    assert all(outbox.put(job(f"j{n}")) for n in range(20))
    assert not await outbox.settled(0.1)
    assert len(outbox) == 20
    await place.start()
    await eventually(lambda: sorted(worker.did) == sorted(f"j{n}" for n in range(20)), 20)
    assert await outbox.settled(5)
    assert (len(outbox), outbox.lost) == (0, 0)
    await outbox.close(1.0)
    await consumer.drain(1.0)


async def test_an_outbox_is_bounded_and_counts_what_is_lost(place: Place) -> None:
    queue = await place.connect()
    outbox = Outbox(queue, OutboxOptions(max_bytes=2500, first_pause=0.02, longest_pause=0.1))
    await place.kill()
    assert [outbox.put(job(f"j{n}", bytes(1000))) for n in range(4)] == [True, True, False, False]
    assert (outbox.lost, outbox.room) == (2, 500)
    await outbox.close(0.1)
    assert outbox.lost == 4
    await place.start()


async def test_one_can_wait_until_everything_sent_before_is_done(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    assert await queue.caught_up(1.0)
    worker.hold.clear()
    consumer = Consumer(await place.connect(), worker, QUICK)
    await consumer.start()
    await queue.send(job("one"))
    assert not await queue.caught_up(0.1)
    waiting = asyncio.create_task(queue.caught_up(5.0))
    await eventually(lambda: worker.at_once == 1)
    worker.hold.set()
    assert await waiting
    assert worker.did == ["one"]
    await consumer.drain(1.0)


async def test_a_worker_tells_what_it_did(place: Place) -> None:
    queue, worker = await place.connect(), Worker()
    worker.fail = {"bad": [JobRefused("no")]}
    consumer = Consumer(queue, worker, QUICK)
    await consumer.start()
    for name in ("a", "b", "bad"):
        await queue.send(job(name))
    await eventually(lambda: empty(place))
    await consumer.refresh()
    assert (consumer.stats.requests, consumer.stats.errors, consumer.stats.last_error) == (3, 1, "no")
    assert consumer.stats.data == {"waiting": 0, "working": 0, "here": 0}
    await consumer.drain(1.0)


def test_errors_say_what_to_do() -> None:
    assert issubclass(JobRefused, CaravanError) and not JobRefused("x").retryable
    assert QueueFull("x").retryable
