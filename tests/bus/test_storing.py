"""Answers that are to be stored: what is handed to the work queue, when, and what is not."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from caravan_bus.storing import Storing, Taped, for_provider
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_bus.work.memory import MemoryServer
from caravan_bus.work.outbox import Outbox
from caravan_contracts import headers as h
from caravan_contracts.completions import decode_job
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, UpstreamFailed
from caravan_contracts.inference import Summary, Usage, Verb
from caravan_contracts.openai import RequestFacts, read_request
from caravan_contracts.work import COMPLETIONS
from hypothesis import given
from hypothesis import strategies as st

from tests.bus.party import Party, request

CONTEXT = RequestContext("req_7", Principal("acme", "ada"), traceparent="00-1-2-00")


class Kept:
    """A queue that holds what was handed over."""

    def __init__(self, max_taped: int = 10**9) -> None:
        self.server = MemoryServer(COMPLETIONS)
        self.outbox = Outbox(self.server.connect())
        self.storing = Storing(self.outbox, max_taped)

    @property
    def answers(self) -> list[bytes]:
        return [decode_job(entry.job.data)[2] for entry in self.server.entries.values()]


class Client:
    """A sink that knows how much was kept when each of its bytes came."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.got: list[tuple[bytes, int]] = []

    def take(self, data: bytes) -> bool:
        self.got.append((data, len(self.kept.answers)))
        return True

    async def room(self) -> None: ...


async def answer(inbound: Inbound, sender: StreamSender) -> None:
    sender.write(b"one ")
    await asyncio.sleep(0.02)
    sender.write(b"two ")
    await asyncio.sleep(0.02)
    sender.end(Summary(usage=Usage(3, 4, 1, 2)), b"three")


async def taped(party: Party, kept: Kept, stream: bool = True) -> Taped:
    caller = await party.caller()
    await party.until_seen(caller, 1)
    facts = RequestFacts("m", stream, False, True)
    return kept.storing.tape(await caller.router.send(request()), b'{"asked": 1}', CONTEXT, facts)


async def test_a_job_is_there_before_the_last_bytes_are(party: Party) -> None:
    await party.worker("w1", answer)
    kept = Kept()
    stream = await taped(party, kept)
    client = Client(kept)
    first = await stream.read()
    last = await stream.pump(client)
    assert first + b"".join(data for data, _ in client.got) + last == b"one two three"
    assert {count for _, count in client.got} <= {0}
    assert kept.answers == [b"one two three"], "it is kept when the last bytes are handed on"
    (entry,) = kept.server.entries.values()
    head, asked, _ = decode_job(entry.job.data)
    assert (head.stream, head.model, head.usage, asked) == (True, "m", (3, 4, 1, 2), b'{"asked": 1}')
    assert entry.job.headers == {
        h.REQUEST_ID: "req_7",
        h.PRINCIPAL: CONTEXT.principal.encode(),
        h.TRACEPARENT: "00-1-2-00",
    }
    stream.cancel()
    assert len(kept.answers) == 1


async def test_an_answer_that_is_read_or_collected_is_kept_once(party: Party) -> None:
    await party.worker("w1", answer)
    kept = Kept()
    stream = await taped(party, kept)
    read = b""
    while data := await stream.read():
        read += data
    assert await (await taped(party, kept, stream=False)).read_all(1000) == read
    assert kept.answers == [read, read]


async def test_nothing_is_kept_of_an_answer_that_fails_or_is_left(party: Party) -> None:
    async def fail(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"some")
        await asyncio.sleep(0.02)
        sender.fail(UpstreamFailed("it broke"))

    await party.worker("w1", fail)
    kept = Kept()
    for stream in (await taped(party, kept), await taped(party, kept)):
        assert await stream.read() == b"some"
        with pytest.raises(CaravanError):
            await stream.pump(Client(kept))
        stream.cancel()
    left = await taped(party, kept)
    await left.read()
    left.cancel()
    assert (kept.answers, kept.outbox.lost) == ([], 0)
    assert kept.storing.take(10**9), "its room was given back"


async def test_what_is_too_much_to_copy_passes_and_is_counted(party: Party) -> None:
    await party.worker("w1", answer)
    kept = Kept(max_taped=6)
    stream = await taped(party, kept)
    read = b""
    while data := await stream.read():
        read += data
    assert read == b"one two three"
    assert (kept.answers, kept.outbox.lost) == ([], 1)
    assert kept.storing.take(6)


def test_a_provider_sees_nothing_of_it() -> None:
    body = {"model": "m", "store": True, "metadata": {"a": "b"}, "messages": [{"store": 1}], "x": 1.5}
    assert orjson.loads(for_provider(orjson.dumps(body))) == {"model": "m", "messages": [{"store": 1}], "x": 1.5}


@pytest.mark.parametrize(("store", "kept"), [(True, True), (False, False), (None, False)])
def test_only_true_is_a_wish(store: bool | None, kept: bool) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user"}], "store": store})
    assert read_request(Verb.CHAT, body).store is kept


@pytest.mark.parametrize("store", [1, "true", [], {}])
def test_a_wish_is_a_boolean(store: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(Verb.CHAT, orjson.dumps({"model": "m", "messages": [{"role": "user"}], "store": store}))
    assert caught.value.param == "store"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_job_or_a_refusal(data: bytes) -> None:
    try:
        decode_job(data)
    except InvalidRequest:
        return
