"""The door for foreign users: how much it takes of one of them, and of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from caravan_bus.foreign import entry as entries
from caravan_bus.foreign.answering import Answer, Question, Whole
from caravan_bus.foreign.entry import ForeignEntry
from caravan_bus.transport import Message, Transport, encode_headers
from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s

from tests.bus.lines import Line

WINDOW = encode_headers({h.WINDOW: "262144"})


class Waiting:
    """A desk that answers when it is told to."""

    verbs = ("wait",)

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        await self.let.wait()
        return Whole(question.body)


class Client:
    """A foreign user."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._name = name
        self._count = 0

    async def ask(self, headers: bytes = b"") -> asyncio.Queue[Message]:
        self._count += 1
        inbox = f"_INBOX.{self._name}.app.{self._count}"
        heard: asyncio.Queue[Message] = asyncio.Queue(100)
        await self._transport.subscribe(inbox, heard.put_nowait)
        await self._transport.flush()
        subject = s.entry("agents", "wait", "acme", self._name)
        self._transport.publish(subject, self._name.encode(), inbox, headers)
        await self._transport.flush()
        return heard


@pytest.fixture
async def desk(line: Line) -> AsyncIterator[Waiting]:
    made = Waiting()
    entry = ForeignEntry(await line.connect(), "agents", "a1", made)
    await entry.start()
    yield made
    await entry.drain(0.1)


async def said(heard: asyncio.Queue[Message]) -> Message:
    return await asyncio.wait_for(heard.get(), 30)


@pytest.mark.parametrize("bound", ["USER_LIMIT", "LIMIT"])
async def test_who_has_enough_under_way_is_told_so(
    line: Line, desk: Waiting, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(entries, bound, 2)
    transport = await line.connect()
    ada, bob = Client(transport, "ada"), Client(transport, "bob")
    taken = [await ada.ask() for _ in range(2)]
    assert f.decode((await said(await ada.ask(WINDOW))).data)[0] == f.Kind.BUSY
    refused = await said(await ada.ask())
    assert refused.headers[h.SERVICE_ERROR_CODE] == "503" and b"overloaded" in refused.data
    other = await bob.ask()
    if bound == "LIMIT":
        assert (await said(other)).headers[h.SERVICE_ERROR_CODE] == "503"
    desk.let.set()
    for heard in taken if bound == "LIMIT" else [*taken, other]:
        assert (await said(heard)).data in (b"ada", b"bob")
        assert (await said(heard)).data == b""
    assert (await said(await ada.ask())).data == b"ada", "there is room again"


async def test_who_asks_is_said_by_the_subject(line: Line, desk: Waiting) -> None:
    desk.let.set()
    assert (await said(await Client(await line.connect(), "ada").ask())).data == b"ada"
    assert (desk.asked[0].context.principal.tenant, desk.asked[0].context.principal.subject) == ("acme", "ada")
