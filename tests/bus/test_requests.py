"""Requests to control services: one answer or one error, and soon."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from caravan_bus.requests import Requester
from caravan_bus.transport import Message
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    RequestTooLarge,
    Unavailable,
)
from pydantic import BaseModel

from tests.bus.lines import Line


class Text(BaseModel):
    text: str = ""


def context(timeout: float = 30.0) -> RequestContext:
    return RequestContext("req_1", deadline=time.monotonic() + timeout)


async def requester(line: Line) -> Requester:
    made = Requester(await line.connect(), "tester", "t1")
    await made.start()
    return made


async def test_what_is_asked_is_answered(line: Line) -> None:
    serving = await line.connect()
    await serving.subscribe("caravan.v1.registry.echo", lambda m: serving.publish(m.reply, m.data), "registry")
    await serving.flush()
    asking = await requester(line)
    answers = await asyncio.gather(
        *(asking.ask("registry", "echo", Text(text=str(i)), Text, context()) for i in range(50))
    )
    assert [answer.text for answer in answers] == [str(i) for i in range(50)]
    assert not asking._pending


class Anything(BaseModel):
    value: Any = None


async def test_what_cannot_be_written_is_refused(line: Line) -> None:
    asking = await requester(line)
    nested: Any = 1
    for _ in range(300):
        nested = [nested]
    for value in (nested, "half: \ud800"):
        with pytest.raises(InvalidRequest, match="cannot be written as JSON"):
            await asking.ask("registry", "echo", Anything(value=value), Anything, context())
    assert not asking._pending


async def test_a_request_under_way_fails_when_the_line_breaks(line: Line) -> None:
    serving = await line.connect()
    heard = asyncio.Event()
    await serving.subscribe("caravan.v1.registry.wait", lambda _: heard.set())
    await serving.flush()
    asking = await requester(line)
    waiting = [
        asyncio.create_task(asking.ask("registry", "wait", Text(), Text, context(), timeout=60)) for _ in range(3)
    ]
    await asyncio.wait_for(heard.wait(), 30)
    await line.kill()
    async with asyncio.timeout(30):
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, DependencyDown) and error.retryable and error.retry_after
    assert not asking._pending


async def test_nothing_stays_of_requests_however_they_end(line: Line) -> None:
    serving = await line.connect()

    def serve(message: Message) -> None:
        if message.data == b'{"text":"bad"}':
            serving.publish(
                message.reply, CaravanError("no").to_wire(), "", b"NATS/1.0\r\nNats-Service-Error: no\r\n\r\n"
            )
        elif message.data != b'{"text":"silent"}':
            serving.publish(message.reply, message.data)

    await serving.subscribe("caravan.v1.registry.some", serve)
    await serving.flush()
    asking = await requester(line)

    async def one(n: int) -> None:
        if n % 5 == 0:
            await asking.ask("registry", "some", Text(text="ok"), Text, context())
        elif n % 5 == 1:
            await asking.ask("registry", "some", Text(text="bad"), Text, context())
        elif n % 5 == 2:
            with pytest.raises(DeadlineExceeded):
                await asking.ask("registry", "some", Text(text="silent"), Text, context(), timeout=0.01)
        elif n % 5 == 3:
            with pytest.raises(Unavailable):
                await asking.ask("registry", "nobody", Text(), Text, context())
        else:
            task = asyncio.create_task(asking.ask("registry", "some", Text(text="silent"), Text, context()))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    for start in range(0, 1000, 100):
        await asyncio.gather(*(one(n) for n in range(start, start + 100)), return_exceptions=True)
    assert not asking._pending


async def test_a_request_that_does_not_fit_is_refused_as_such(line: Line) -> None:
    asking = await requester(line)
    with pytest.raises(RequestTooLarge):
        await asking.ask("registry", "put", Text(text="x" * 2_000_000), Text, context())
    assert not asking._pending


async def test_a_request_whose_time_is_over_is_not_sent(line: Line) -> None:
    serving = await line.connect()
    heard: list[Message] = []
    await serving.subscribe("caravan.v1.registry.>", heard.append)
    await serving.flush()
    asking = await requester(line)
    with pytest.raises(DeadlineExceeded):
        await asking.ask("registry", "put", Text(), Text, context(timeout=-1))
    await asking._transport.flush()
    await serving.flush()
    assert not heard
