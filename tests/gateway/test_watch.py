"""Heartbeats and leaving clients: no client may spoil it for the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from caravan_gateway.asgi import Event
from caravan_gateway.watch import LAST_SECONDS, PING, Watch, Watched


class Client:
    """What uvicorn gives a request, and its connection, under control."""

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] | None = None
        self.was_cut = asyncio.Event()
        self.pinged = asyncio.Event()
        self.stalls = asyncio.Event()
        self.stalls.set()
        self.answered = False
        self.heartbeat = PING

    def cut(self) -> None:
        self.was_cut.set()

    def go(self) -> None:
        assert self.on_lost is not None
        self.on_lost()

    async def send(self, event: Event) -> None:
        await self.stalls.wait()
        if self.answered:
            raise RuntimeError("Unexpected ASGI message 'http.response.body' sent, after response already completed.")
        assert event["body"] == self.heartbeat
        self.pinged.set()


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    made = Watch(lambda: 1000.0)
    yield made
    await made.close()


def streaming(watch: Watch, client: Client) -> tuple[asyncio.Task[None], asyncio.Future[Watched]]:
    added: asyncio.Future[Watched] = asyncio.get_running_loop().create_future()

    async def request() -> None:
        watched = watch.add(client.send, client)
        watched.streaming = True
        added.set_result(watched)
        try:
            await asyncio.Event().wait()
        finally:
            watch.remove(watched)

    return asyncio.create_task(request()), added


async def test_an_answer_that_ended_before_its_heartbeat_ends_no_watch(watch: Watch) -> None:
    early, late = Client(), Client()
    early.answered = True
    one, _ = streaming(watch, early)
    two, _ = streaming(watch, late)
    async with asyncio.timeout(30):
        await late.pinged.wait()
        late.go()
        with pytest.raises(asyncio.CancelledError):
            await two
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)


async def test_a_heartbeat_is_what_its_stream_may_hold(watch: Watch) -> None:
    client = Client()
    client.heartbeat = b" "
    task, added = streaming(watch, client)
    async with asyncio.timeout(30):
        (await added).ping_body = b" "
        await client.pinged.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_clients_that_take_nothing_keep_no_other_waiting(watch: Watch) -> None:
    stalled = [Client() for _ in range(20)]
    for client in stalled:
        client.stalls.clear()
    tasks = [streaming(watch, client)[0] for client in stalled]
    good = Client()
    task, _ = streaming(watch, good)
    async with asyncio.timeout(30):
        await good.pinged.wait()
        good.go()
        with pytest.raises(asyncio.CancelledError):
            await task
    for other in tasks:
        other.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(watch) == 0


async def test_only_a_client_that_has_not_taken_its_answer_long_after_the_deadline_is_cut_off(watch: Watch) -> None:
    slow, other = Client(), Client()
    late = watch.add(slow.send, slow)
    late.deadline = time.monotonic() - LAST_SECONDS - 1
    soon = watch.add(other.send, other)
    soon.deadline = time.monotonic()
    async with asyncio.timeout(30):
        await slow.was_cut.wait()
    assert not other.was_cut.is_set()
    for watched in (late, soon):
        watch.remove(watched)


async def test_the_last_word_of_an_answer_that_broke_is_waited_for_no_longer_than_that(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caravan_gateway.watch.LAST_SECONDS", 0.05)
    client = Client()

    async def send(event: Event) -> None:
        await client.was_cut.wait()  # as uvicorn does, until the connection is lost

    watched = watch.add(send, client)
    async with asyncio.timeout(30):
        await watched.end({"type": "http.response.body", "body": b"data: {}"})
    watch.remove(watched)


async def test_who_leaves_after_the_end_cancels_nothing(watch: Watch) -> None:
    client = Client()
    watched = watch.add(client.send, client)
    watch.remove(watched)
    assert client.on_lost is None and not watched.gone
