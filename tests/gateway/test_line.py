"""Writing an answer past ASGI's events: its head with its body in one write, its pieces as HTTP chunks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from caravan_gateway.connection import Line


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
    flow = SimpleNamespace(write_paused=False, resumed=asyncio.Event)
    return SimpleNamespace(transport=transport, flow=flow, **{**state, **more})


def test_a_head_leaves_with_the_first_of_its_body() -> None:
    transport = Transport()
    cycle = cycle_on(transport)
    line = Line(cycle)
    line.hold_head()
    cycle.transport.write(b"head\r\n\r\n")
    assert transport.writes == []
    assert line.write(b"body")
    assert line.write(b"more")
    assert line.write(b"last")
    assert transport.writes == [b"head\r\n\r\n4\r\nbody\r\n", b"4\r\nmore\r\n", b"4\r\nlast\r\n"]
    assert cycle.transport is transport


def test_a_head_without_a_body_leaves_when_the_connection_is_closed() -> None:
    transport = Transport()
    cycle = cycle_on(transport)
    Line(cycle).hold_head()
    cycle.transport.write(b"head")
    assert not cycle.transport.is_closing()
    cycle.transport.close()
    assert transport.writes == [b"head"] and transport.closed


def test_a_head_that_was_sent_is_not_held() -> None:
    transport = Transport()
    cycle = cycle_on(transport, response_started=True)
    Line(cycle).hold_head()
    assert cycle.transport is transport


def test_a_slow_a_gone_and_a_finished_client_are_left_to_the_server() -> None:
    for state in ({"disconnected": True}, {"response_complete": True}, {"chunked_encoding": False}):
        transport = Transport()
        assert not Line(cycle_on(transport, **state)).write(b"x")
        assert transport.writes == []
    cycle = cycle_on(Transport())
    cycle.flow.write_paused = True
    assert not Line(cycle).write(b"x")


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
