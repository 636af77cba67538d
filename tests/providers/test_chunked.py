"""HTTP chunks read without the parser: what is read so is what the parser would have found."""

from __future__ import annotations

from itertools import pairwise

import httptools
import pytest
from caravan_inference.providers.openai_compatible.chunked import ends_chunk, whole_chunk
from hypothesis import example, given
from hypothesis import strategies as st

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text("\r\nd0a;", min_size=1, max_size=12).map(str.encode),
    st.sampled_from([b'data: {"a":1}\n\n', b"4", b"1\r\nx", b"4\r\n4", b"\n", b"6", b"2\r\n\n\n", b"a\n", b"0\r\n0"]),
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Heard:
    """A parser, and what it found."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.ended = False
        self.on_body = self.parts.append
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(HEAD)

    def on_message_complete(self) -> None:
        self.ended = True


@given(PIECES)
def test_a_chunk_that_comes_whole_is_what_it_holds(data: bytes) -> None:
    assert whole_chunk(chunk(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\r\n", b"0\r\n\r\n", b"1\r\nab\r\n", b"2\r\na\r\n", b"1;x=y\r\na\r\n", b"0x1\r\na\r\n", b"+1\r\na\r\n",
        b" 1\r\na\r\n", b"1_0\r\n0123456789abcdef\r\n", b"1\r\na\n\n", chunk(b"a") * 2, chunk(b"a") + b"0\r\n\r\n",
        b"000000001\r\na\r\n", "١\r\na\r\n".encode(),
    ],
)  # fmt: skip
def test_everything_else_is_the_parsers(data: bytes) -> None:
    assert whole_chunk(data) is None


@given(st.lists(PIECES, min_size=1, max_size=8), st.lists(st.integers(0, 400), max_size=12))
@example([b"\r\n\r\n"], [5])
@example([b"\r\n\r\n", b"x"], [3, 5, 7])
@example([b"4", b"1\r\nx"], [9])
@example([b"hello", b"1\r\nx\r"], [15])
def test_however_a_body_is_cut_into_reads_what_is_read_past_the_parser_adds_up(
    pieces: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    borders = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire)), *_some_ends(pieces, cuts)})
    heard, between = Heard(), False
    for start, stop in pairwise(borders):
        read = wire[start:stop]
        body = whole_chunk(read) if between else None
        if body is not None:
            heard.parts.append(body)
            continue
        heard.parser.feed_data(read)
        between = not heard.ended and ends_chunk(read, heard.parts)
    assert b"".join(heard.parts) == b"".join(pieces)
    assert heard.ended


def _some_ends(pieces: list[bytes], cuts: list[int]) -> list[int]:
    """Where chunks end: most reads of a stream do."""
    ends = [0]
    for piece in pieces:
        ends.append(ends[-1] + len(chunk(piece)))
    return [end for end in ends[1:] if end not in cuts]
