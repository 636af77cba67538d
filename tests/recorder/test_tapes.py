"""Requests and frames are put together as their receiver would, and only what is whole counts as complete."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import count

import orjson
import pytest
from caravan_contracts import frames as f
from caravan_contracts.errors import UpstreamRefused
from caravan_contracts.inference import CallSpec, Summary
from caravan_recorder.making import made
from caravan_recorder.options import Limits
from caravan_recorder.recording import Outcome, Recording
from caravan_recorder.scrub import MARK, Scrubber
from caravan_recorder.tapes import GAP_SECONDS, SILENCE_SECONDS, Loss, Tape, Tapes
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPLY = "_INBOX.gateway.gw-1.1"
BODY = b'{"model":"p/m","messages":[]}'
KEY = "sk-" + "0123456789abcdefABCDEF"


def data(number: int, text: str) -> bytes:
    return f.encode(f.Kind.DATA, number, text.encode())


def end(number: int, tail: str = "") -> bytes:
    return f.encode_end(number, orjson.dumps(Summary(model="m").to_dict()), tail.encode())


class Desk:
    def __init__(self, limits: Limits | None = None) -> None:
        self.done: list[Tape] = []
        self.lost: list[Loss] = []
        self.tapes = Tapes(limits or Limits(), self.done.append, self.lost.append)
        self.numbers = count(1)

    def begin(self, reply: str = REPLY, body: bytes = BODY, stream: bool = True, now: float = 0.0) -> Tape:
        tape = Tape(reply, "chat", CallSpec("p", "m", "p/m", stream), "default", body, now, NOW)
        self.tapes.begin(tape)
        return tape

    def hear(self, *frames: bytes, now: float = 1.0) -> None:
        for frame in frames:
            self.tapes.frame(REPLY, frame, now)

    @property
    def recording(self) -> Recording:
        recording = made(self.done[-1], Scrubber())
        assert isinstance(recording, Recording), recording
        return recording


def test_a_stream_is_recorded_with_its_times() -> None:
    desk = Desk()
    desk.begin(now=10.0)
    desk.hear(f.encode(f.Kind.ACCEPT, 0), now=10.05)
    desk.hear(data(1, "a"), now=10.1)
    desk.hear(f.encode(f.Kind.HEARTBEAT, 1), now=10.2)
    desk.hear(data(2, "b"), now=10.3)
    desk.hear(end(3, "c"), now=10.4)
    recording = desk.recording
    assert [(round(piece.ms), piece.data) for piece in recording.pieces] == [(100, b"a"), (300, b"b")]
    assert (round(recording.ms), recording.tail, recording.answer) == (400, b"c", b"abc")
    assert recording.outcome is Outcome.COMPLETE
    assert recording.summary == Summary(model="m").to_dict()
    assert recording.request == {"model": "p/m", "messages": []}


@given(st.integers(1, 8), st.randoms(use_true_random=False), st.lists(st.integers(0, 8), max_size=8))
def test_resends_and_other_orders_change_nothing_of_the_bytes(n: int, order: random.Random, again: list[int]) -> None:
    desk = Desk()
    desk.begin()
    frames = [*(data(i, f"<{i}>") for i in range(1, n + 1)), end(n + 1)]
    heard = frames + [frames[i] for i in again if i < len(frames)]
    order.shuffle(heard)
    for moment, frame in enumerate(heard):
        desk.hear(frame, now=moment)
    recording = desk.recording
    assert len(desk.done) == 1
    assert recording.answer == b"".join(b"<%d>" % i for i in range(1, n + 1))
    times = [piece.ms for piece in recording.pieces]
    assert times == sorted(times)


def test_a_refusal_by_a_busy_worker_is_no_recording() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(f.encode(f.Kind.BUSY, 0))
    assert (desk.done, desk.lost, desk.tapes.open, desk.tapes.held) == ([], [Loss.BUSY], 0, 0)


def test_an_error_is_recorded_as_one_after_what_came_before() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(data(1, "a"), f.encode(f.Kind.ERROR, 2, UpstreamRefused(f"bad key {KEY}").to_wire()))
    recording = desk.recording
    assert (recording.outcome, recording.answer) == (Outcome.ERROR, b"a")
    assert recording.error["error"]["message"] == f"bad key {MARK}"


def test_a_stream_without_an_end_is_incomplete_and_one_without_a_frame_is_nothing() -> None:
    desk = Desk()
    desk.begin()
    desk.begin("_INBOX.gateway.gw-1.2")
    desk.hear(data(1, "a"), now=2.0)
    desk.tapes.sweep(2.0 + SILENCE_SECONDS + 0.1)
    assert desk.recording.outcome is Outcome.INCOMPLETE
    assert "worker died" in desk.recording.note
    assert desk.lost == [Loss.UNANSWERED]


def test_a_stream_with_a_hole_is_thrown_away_when_no_resend_fills_it() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(data(1, "a"), data(3, "c"), end(4))
    desk.tapes.sweep(1.0 + GAP_SECONDS - 0.1)
    assert desk.tapes.open == 1
    desk.tapes.sweep(1.0 + GAP_SECONDS + 0.1)
    assert (desk.done, desk.lost, desk.tapes.held) == ([], [Loss.DAMAGED], 0)


def test_after_a_break_of_the_line_nothing_under_way_is_kept() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(data(1, "a"))
    desk.tapes.line_broke()
    desk.hear(data(2, "b"), end(3))
    assert (desk.done, desk.lost) == ([], [Loss.DAMAGED])


def test_an_answer_may_overtake_its_request_by_a_moment() -> None:
    desk = Desk()
    desk.hear(data(1, "a"), end(2, "b"), now=5.0)
    desk.begin(now=5.01)
    assert desk.recording.answer == b"ab"
    desk.tapes.frame("_INBOX.gateway.gw-1.9", data(1, "x"), 6.0)
    desk.tapes.sweep(8.0)
    desk.begin("_INBOX.gateway.gw-1.9", now=8.0)
    assert desk.tapes.open == 1


def test_what_is_too_large_is_not_recorded_and_its_memory_is_free_again() -> None:
    desk = Desk(Limits(stream_bytes=1000, memory_bytes=2500, open_streams=3))
    desk.begin()
    desk.hear(data(1, "x" * 990))
    assert (desk.lost, desk.tapes.held) == ([Loss.TOO_LARGE], 0)
    for i in range(4):
        desk.begin(f"_INBOX.gateway.gw-1.{i + 2}", b"x" * 900)
    assert desk.lost[1:] == [Loss.NO_MEMORY, Loss.NO_MEMORY]
    assert desk.tapes.open == 2


def test_a_body_that_travels_apart_is_waited_for() -> None:
    desk = Desk()
    tape = Tape(REPLY, "chat", CallSpec("p", "m", "p/m", True), "default", b"", 0.0, NOW, size=900, waiting=True)
    desk.tapes.begin(tape)
    desk.hear(end(1, "a"))
    assert not desk.done
    desk.tapes.fetched(tape, BODY)
    assert desk.recording.request == {"model": "p/m", "messages": []}
    desk.tapes.release(desk.done[0])
    assert desk.tapes.held == 0


def test_a_body_that_cannot_be_had_is_noted() -> None:
    desk = Desk()
    tape = Tape(REPLY, "chat", CallSpec("p", "m", "p/m", True), "default", b"", 0.0, NOW, size=900, waiting=True)
    desk.tapes.begin(tape)
    desk.tapes.fetched(tape, b"", "the body is missing")
    desk.hear(end(1, "a"))
    assert (desk.recording.request, desk.recording.note) == (None, "the body is missing")


def test_secrets_of_the_request_are_taken_out_of_the_answer_as_well() -> None:
    desk = Desk()
    desk.begin(body=orjson.dumps({"model": "p/m", "password": "correct horse", "messages": [{"content": KEY}]}))
    desk.hear(data(1, f'{{"said": "correct horse, {KEY}"}}'), end(2))
    text = desk.recording.answer.decode()
    assert text == f'{{"said": "{MARK}, {MARK}"}}'
    assert desk.recording.request == {"model": "p/m", "password": MARK, "messages": [{"content": MARK}]}


@pytest.mark.parametrize("native", [False, True])
def test_an_answer_that_spells_a_secret_token_by_token_is_not_kept(native: bool) -> None:
    desk = Desk()
    desk.begin()
    for number, part in enumerate((KEY[:5], KEY[5:12], KEY[12:]), 1):
        chunk: dict[str, object] = {"choices": [{"index": 0, "delta": {"content": part}}]}
        if native:
            chunk = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
        desk.hear(data(number, f"data: {orjson.dumps(chunk).decode()}\n\n"))
    desk.hear(end(4, "data: [DONE]\n\n"))
    assert made(desk.done[0], Scrubber()) is Loss.SECRET


def test_what_is_no_json_is_not_kept() -> None:
    desk = Desk()
    desk.begin(body=b"hello")
    desk.hear(end(1))
    assert made(desk.done[0], Scrubber()) is Loss.UNREADABLE
