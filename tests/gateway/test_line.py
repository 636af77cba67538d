"""Writing an answer past ASGI's events: its head with its body in one write, its pieces as HTTP chunks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from caravan_gateway.line import Line


class Transport:
    """What was written, a write each."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def cycle_on(transport: Transport, **more: object) -> Any:
    state = {"response_started": False, "response_complete": False, "disconnected": False, "chunked_encoding": True}
    said = {"keep_alive": True, "waiting_for_100_continue": True, "default_headers": [(b"date", b"today")]}
    flow = SimpleNamespace(write_paused=False, resumed=asyncio.Event)
    made = SimpleNamespace(transport=transport, flow=flow, message_event=asyncio.Event(), **{**state, **said, **more})
    made.responses = 0

    def count() -> None:
        made.responses += 1

    made.on_response = count
    return made


HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\nx-a: b\r\n"
HEADERS = [(b"x-a", b"b")]


def test_a_head_leaves_with_the_first_of_its_body() -> None:
    transport = Transport()
    cycle = cycle_on(transport, chunked_encoding=None)
    line = Line(cycle)
    assert line.begin(HEADERS)
    assert transport.writes == [] and cycle.response_started and not cycle.waiting_for_100_continue
    assert line.write(b"body")
    assert line.write(b"more")
    assert line.end(b"last")
    assert transport.writes == [
        HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n",
        b"4\r\nmore\r\n",
        b"4\r\nlast\r\n0\r\n\r\n",
    ]
    assert cycle.transport is transport and not transport.closed
    assert cycle.response_complete and cycle.message_event.is_set() and cycle.responses == 1
    assert not line.end(b"") and not line.write(b"x"), "it has ended"


def test_a_whole_answer_is_one_write() -> None:
    transport = Transport()
    cycle = cycle_on(transport, chunked_encoding=None)
    assert Line(cycle).answer(HEADERS, b"{}")
    assert transport.writes == [HEAD + b"content-length: 2\r\n\r\n{}"]
    assert cycle.response_complete and cycle.responses == 1 and not transport.closed


def test_the_last_answer_of_a_connection_says_so_and_closes_it() -> None:
    for ends in (lambda line: line.answer(HEADERS, b"{}"), lambda line: line.begin(HEADERS) and line.end(b"{}")):
        transport = Transport()
        assert ends(Line(cycle_on(transport, keep_alive=False)))
        assert b"\r\nconnection: close\r\n" in transport.writes[0] and transport.closed


def test_an_empty_end_is_no_empty_chunk_before_it() -> None:
    transport = Transport()
    line = Line(cycle_on(transport))
    assert line.write(b"a") and line.end(b"")
    assert transport.writes == [b"1\r\na\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("bad", [b"b\r\nset-cookie: c", b"b\n", b"b\r", b"\0"])
def test_a_header_that_ends_early_is_left_to_the_server(bad: bytes) -> None:
    transport = Transport()
    cycle = cycle_on(transport)
    line = Line(cycle)
    assert not line.answer([(b"x-a", bad)], b"{}") and not line.begin([(b"x-a", bad)])
    assert transport.writes == [] and cycle.transport is transport and not cycle.response_started


def test_a_head_without_a_body_leaves_when_the_connection_is_closed() -> None:
    transport = Transport()
    cycle = cycle_on(transport)
    assert Line(cycle).begin(HEADERS)
    assert not cycle.transport.is_closing()
    cycle.transport.close()
    assert transport.writes == [HEAD + b"transfer-encoding: chunked\r\n\r\n"] and transport.closed


def test_there_is_one_head() -> None:
    transport = Transport()
    cycle = cycle_on(transport, response_started=True)
    assert not Line(cycle).begin(HEADERS) and not Line(cycle).answer(HEADERS, b"{}")
    assert cycle.transport is transport and transport.writes == []


def test_a_slow_a_gone_and_a_finished_client_are_left_to_the_server() -> None:
    for state in ({"disconnected": True}, {"response_complete": True}, {"chunked_encoding": False}):
        transport = Transport()
        assert not Line(cycle_on(transport, **state)).write(b"x")
        assert not Line(cycle_on(transport, **state)).end(b"x")
        assert transport.writes == []
    cycle = cycle_on(Transport())
    cycle.flow.write_paused = True
    line = Line(cycle)
    assert not line.write(b"x") and not line.end(b"x") and not line.begin(HEADERS) and not line.answer(HEADERS, b"x")


def test_a_client_that_leaves_or_slows_down_in_the_middle_is_left_to_the_server() -> None:
    transport = Transport()
    cycle = cycle_on(transport)
    line = Line(cycle)
    assert line.write(b"a")
    cycle.flow.write_paused = True
    assert not line.write(b"b")
    cycle.flow.write_paused = False
    assert line.write(b"c")
    cycle.disconnected = True
    assert not line.write(b"d")
    assert transport.writes == [b"1\r\na\r\n", b"1\r\nc\r\n"]


def test_a_body_is_taken_once_and_only_whole() -> None:
    cycle = cycle_on(Transport(), body=bytearray(b"{}"), more_body=False)
    cycle.message_event.set()
    resumed: list[None] = []
    cycle.flow.resume_reading = lambda: resumed.append(None)
    line = Line(cycle)
    assert line.body(1) is None, "too large: whoever reads it says so"
    assert line.body(2) == b"{}"
    assert cycle.body == b"" and resumed == [None] and not cycle.message_event.is_set()
    for state in ({"more_body": True}, {"disconnected": True}):
        assert Line(cycle_on(Transport(), body=bytearray(b"{"), **{"more_body": False, **state})).body(9) is None
