"""The parser of NATS's wire protocol: whatever the reads, the messages are the same."""

from __future__ import annotations

import pytest
from caravan_bus.wire import Parser, ProtocolError
from hypothesis import given
from hypothesis import strategies as st

SUBJECTS = st.sampled_from(["a", "caravan.v1.evt.x", "_INBOX.gateway.gw-1.2f"])
MESSAGES = st.tuples(
    SUBJECTS, st.integers(1, 9999), st.sampled_from(["", "r.1"]), st.binary(max_size=200), st.booleans()
)


class Seen:
    """Writes down what a parser hands on."""

    def __init__(self) -> None:
        self.events: list[tuple[bytes, ...]] = []

    def on_message(self, sid: bytes, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.events.append((sid, subject, reply, data, headers))

    def on_line(self, line: bytes) -> None:
        self.events.append((line,))


def _wire(message: tuple[str, int, str, bytes, bool]) -> tuple[bytes, tuple[bytes, ...]]:
    subject, sid, reply, data, with_headers = message
    headers = b"NATS/1.0\r\nA: b\r\n\r\n" if with_headers else b""
    words = [subject, str(sid), *([reply] if reply else []), *([str(len(headers))] if headers else [])]
    line = f"{'HMSG' if headers else 'MSG'} {' '.join(words)} {len(headers) + len(data)}\r\n".encode()
    return line + headers + data + b"\r\n", (str(sid).encode(), subject.encode(), reply.encode(), data, headers)


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(1, 120), max_size=60))
def test_any_cutting_of_the_reads_gives_the_same_messages(
    messages: list[tuple[str, int, str, bytes, bool]], cuts: list[int]
) -> None:
    stream, expected = b"", []
    for message in messages:
        wire, event = _wire(message)
        stream += wire + b"PING\r\n"
        expected += [event, (b"PING",)]
    seen = Seen()
    parser = Parser(seen)
    for cut in cuts:
        parser.feed(stream[:cut])
        stream = stream[cut:]
    parser.feed(stream)
    assert seen.events == expected


def test_a_long_message_in_many_reads_arrives_whole() -> None:
    data = bytes(range(256)) * 4096
    wire, event = _wire(("big", 7, "", data, False))
    seen = Seen()
    parser = Parser(seen)
    for start in range(0, len(wire), 65_536):
        parser.feed(wire[start : start + 65_536])
    assert seen.events == [event]


@pytest.mark.parametrize("stream", [b"MSG a\r\n", b"MSG a b c d e\r\n", b"HMSG a 1 x\r\n", b"x" * 70_000])
def test_what_is_no_nats_is_refused(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        Parser(Seen()).feed(stream)
