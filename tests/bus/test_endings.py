"""However a stream ends, it ends on both sides, and nothing of it stays."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_bus.transport import encode_headers
from caravan_contracts import frames, subjects
from caravan_contracts import headers as h
from caravan_contracts.errors import StreamInterrupted, UpstreamRefused
from caravan_contracts.inference import CallSpec, Summary

from tests.bus.party import Party, request


async def forever(inbound: Inbound, sender: StreamSender) -> None:
    await asyncio.Event().wait()


async def test_a_request_whose_cancel_comes_with_it_gives_its_slot_back(party: Party) -> None:
    _, server = await party.worker("w1", forever, slots=2)
    caller = await party.line.connect()
    headers = encode_headers({h.CALL: CallSpec("p", "m", "m").encode()})
    for number in "123":
        # in one read of the worker: its task is cancelled before its first step
        caller.publish(subjects.at_worker("inference", "w1", "chat"), b"{}", f"_INBOX.gateway.x.{number}", headers)
        caller.publish(subjects.control("w1", f"x-{number}"), frames.encode(frames.Control.CANCEL, 0))
    await caller.flush()
    async with asyncio.timeout(30):
        while server.stats["chat"].requests < 2 or server.active:
            await asyncio.sleep(0.01)
    assert server._slots.loads()["p"].used == 0


async def test_what_a_shutdown_cut_off_is_asked_of_another_worker(party: Party) -> None:
    async def echo(inbound: Inbound, sender: StreamSender) -> None:
        sender.end(Summary(), b"whole")

    async def halfway(inbound: Inbound, sender: StreamSender) -> None:
        if inbound.message.data != b"silent":
            sender.write(b"half")
        await asyncio.Event().wait()

    _, first = await party.worker("w1", halfway)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    silent = await caller.router.send(request(body=b"silent"))
    whole = await caller.router.send(request())
    begun = await caller.router.send(request())
    assert await begun.read() == b"half"
    await party.worker("w2", echo)
    await party.until_seen(caller, 2)
    await first.drain(0.0)
    async with asyncio.timeout(30):
        assert await silent.read() == b"whole"
        assert await whole.read_all(100) == b"whole"
        with pytest.raises(StreamInterrupted, match="shut down"):
            await begun.read()


@pytest.mark.parametrize("end", ["summary", "error"])
async def test_an_end_that_is_too_large_for_a_message_arrives_cut(party: Party, end: str) -> None:
    huge = "x" * 2_000_000

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"data")
        if end == "error":
            raise UpstreamRefused(huge, param=huge)
        sender.end(Summary(response_id=huge, model=huge, finish_reason=huge), b"tail")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    async with asyncio.timeout(30):
        if end == "error":
            with pytest.raises(UpstreamRefused, match=r"^xxx"):
                await stream.read_all(100)
        else:
            assert await stream.read_all(100) == b"datatail"
            assert stream.summary is not None and stream.summary.response_id.startswith("xxx")
