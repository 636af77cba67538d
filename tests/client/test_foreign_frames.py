"""The stream protocol as a foreign user sees it, by a bare NATS client: what comes, what can be said back, by whom."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from caravan_contracts import frames as f
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

WINDOW = {"Caravan-Window": "262144"}


class Bare:
    """A bus user with nothing of ours but its key."""

    def __init__(self, client: Client, user: str, errors: list[str]) -> None:
        self.client = client
        self.user = user
        self.errors = errors
        self._instance = secrets.token_hex(4)
        self._count = itertools.count(1)

    async def ask(self, body: Any, headers: dict[str, str], inbox: str = "") -> asyncio.Queue[Msg]:
        inbox = inbox or f"_INBOX.{self.user}.{self._instance}.{next(self._count)}"
        replies: asyncio.Queue[Msg] = asyncio.Queue(10_000)

        async def put(message: Msg) -> None:
            replies.put_nowait(message)

        await self.client.subscribe(inbox, cb=put)
        subject = f"caravan.v1.inference.chat.default.{self.user}"
        await self.client.publish(subject, json.dumps(body).encode(), reply=inbox, headers=headers)
        return replies


@pytest.fixture
async def users(mesh: RunningMesh) -> AsyncIterator[list[Bare]]:
    made = []
    for name in ("alice", "mallory"):
        seed = Path(mesh.folder, "data", "bus", f"{name}.nk")
        if not seed.is_file():  # noqa: ASYNC240 - made once
            assert mesh.command("bus", "user", "add", name).returncode == 0
        errors: list[str] = []

        async def note(error: Exception, errors: list[str] = errors) -> None:
            errors.append(str(error).lower())

        client = await nats.connect(
            mesh.state["urls"]["nats"], nkeys_seed=str(seed), inbox_prefix=f"_INBOX.{name}".encode(), error_cb=note
        )
        made.append(Bare(client, name, errors))
    yield made
    for user in made:
        await user.client.close()


def asked(model: str, tokens: int) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": tokens}


async def next_frame(replies: asyncio.Queue[Msg]) -> tuple[int, int, bytes, str]:
    message = await asyncio.wait_for(replies.get(), 30)
    kind, seq = struct.unpack(">BI", message.data[:5])
    return kind, seq, message.data[5:], message.reply


async def test_the_first_word_says_where_to_answer_and_so_does_a_heartbeat_each_second(users: list[Bare]) -> None:
    replies = await users[0].ask(asked("up/slow-400", 5), WINDOW)
    kind, seq, _, control = await next_frame(replies)
    assert (kind, seq) == (f.Kind.ACCEPT, 0)
    assert control.startswith("caravan.v1.ctl.") and control.endswith(".default.alice")
    data, beats, expected = b"", 0, 1
    while True:
        kind, seq, payload, reply = await next_frame(replies)
        if kind == f.Kind.HEARTBEAT:
            beats += 1
            assert (reply, seq) == (control, expected - 1)
            continue
        assert (seq, reply) == (expected, "")
        expected += 1
        if kind == f.Kind.END:
            summary, tail = f.decode_end(payload)
            data += tail
            break
        assert kind == f.Kind.DATA
        data += payload
    assert beats >= 1
    assert json.loads(summary)["finish_reason"] == "stop"
    assert data.endswith(b"data: [DONE]\n\n")


async def test_only_who_asked_can_cancel(users: list[Bare], upstream: ScriptedUpstream) -> None:
    alice, mallory = users
    before = upstream.closed_early
    replies = await alice.ask(asked("up/slow-100", 100), WINDOW)
    *_, control = await next_frame(replies)
    assert (await next_frame(replies))[0] == f.Kind.DATA
    cancel = f.encode(f.Control.CANCEL, 0)
    await mallory.client.publish(control, cancel)
    await mallory.client.publish(control.removesuffix("alice") + "mallory", cancel)
    await mallory.client.flush()
    async with asyncio.timeout(30):
        while not mallory.errors:
            await asyncio.sleep(0.01)
    assert len(mallory.errors) == 1, "its own name it may write; there is no such stream of it"
    assert "permissions violation" in mallory.errors[0]
    for _ in range(5):
        assert (await next_frame(replies))[0] in (f.Kind.DATA, f.Kind.HEARTBEAT)
    await alice.client.publish(control, cancel)
    async with asyncio.timeout(30):
        while upstream.closed_early == before:
            await asyncio.sleep(0.01)


async def test_what_was_not_acknowledged_is_sent_again_after_the_end_too(users: list[Bare]) -> None:
    replies = await users[0].ask(asked("up/plain", 20), WINDOW)
    *_, control = await next_frame(replies)
    frames = []
    while not frames or frames[-1][0] != f.Kind.END:
        frames.append(await next_frame(replies))
    await users[0].client.publish(control, f.encode(f.Control.RESEND, 0))
    assert [await next_frame(replies) for _ in frames] == frames
    await users[0].client.publish(control, f.encode(f.Control.RESEND, 0))  # too soon: not heard
    await asyncio.sleep(0.2)
    await users[0].client.publish(control, f.encode(f.Control.RESEND, frames[-1][1] - 1))
    assert await next_frame(replies) == frames[-1]


async def test_nobody_is_answered_at_an_inbox_of_somebody_else(users: list[Bare], upstream: ScriptedUpstream) -> None:
    alice, mallory = users
    heard = await alice.ask(asked("up/plain", 2), WINDOW, "_INBOX.alice.app.mine")
    while (await next_frame(heard))[0] != f.Kind.END:
        pass
    count = len(upstream.requests)
    subject = "caravan.v1.inference.chat.default.mallory"
    body = json.dumps(asked("up/plain", 2)).encode()
    await mallory.client.publish(subject, body, reply="_INBOX.alice.app.mine", headers=WINDOW)
    own = await mallory.ask(asked("up/plain", 2), WINDOW)
    while (await next_frame(own))[0] != f.Kind.END:
        pass
    assert heard.empty()
    assert len(upstream.requests) == count + 1


async def test_errors_and_refusals_are_frames(users: list[Bare]) -> None:
    alice = users[0]
    replies = await alice.ask(asked("plane", 2), WINDOW)
    assert (await next_frame(replies))[0] == f.Kind.ACCEPT
    kind, _, payload, _ = await next_frame(replies)
    assert kind == f.Kind.ERROR
    told = json.loads(payload)
    assert (told["status"], told["error"]["code"], told["error"]["param"]) == (404, "model_not_found", "model")

    replies = await alice.ask(asked("up/plain", 2), {**WINDOW, "Caravan-Principal": "{}"})
    assert (await next_frame(replies))[0] == f.Kind.ACCEPT
    assert json.loads((await next_frame(replies))[2])["status"] == 403

    replies = await alice.ask(asked("up/plain", 2), {**WINDOW, "Caravan-Body-Size": "10"})
    kind, _, payload, _ = await next_frame(replies)
    assert (kind, json.loads(payload)["status"]) == (f.Kind.ERROR, 400)


async def test_a_deadline_too_far_away_is_the_latest_there_is(users: list[Bare]) -> None:
    replies = await users[0].ask(asked("up/plain", 2), {**WINDOW, "Caravan-Deadline-Ms": "1e300"})
    while (frame := await next_frame(replies))[0] != f.Kind.END:
        assert frame[0] in (f.Kind.ACCEPT, f.Kind.DATA)


async def test_models_in_plain_mode(users: list[Bare]) -> None:
    message = await users[0].client.request("caravan.v1.inference.models.default.alice", b"", timeout=5)
    assert "up/plain" in [row["id"] for row in json.loads(message.data)["data"]]
