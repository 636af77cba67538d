"""Parsers that do what a parser must not; named by the tests for types of their own."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.frames import Frame, frame
from caravan_vector.parsing.pieces import Piece

HERE = "tests.parsing.misbehaving"


def segfault(document: Opened) -> Iterator[Piece]:
    yield Piece("a" * 20_000)
    ctypes.string_at(0)


def abort(document: Opened) -> Iterator[Piece]:
    yield Piece("a")
    os.abort()


def shot(document: Opened) -> Iterator[Piece]:
    """As by the kernel that is out of memory."""
    yield Piece("a" * 20_000)
    os.kill(os.getpid(), signal.SIGKILL)


def hang(document: Opened) -> Iterator[Piece]:
    yield Piece("a" * 20_000)
    time.sleep(3600)


def spin(document: Opened) -> Iterator[Piece]:
    yield Piece("a" * 20_000)
    while True:
        pass


def hog(document: Opened) -> Iterator[Piece]:
    yield Piece("a" * 20_000)
    kept = [bytearray(16 * 1024 * 1024) for _ in range(1000)]
    yield Piece(str(len(kept)))


def chatter(document: Opened) -> Iterator[Piece]:
    print("hello", flush=True)
    os.write(1, b"\xff" * 1000)
    os.write(2, b"\xff" * 1000)
    sys.__stdout__.write("more")
    yield Piece("said")


def forged(document: Opened) -> Iterator[Piece]:
    """A worker that was taken over: writes into every pipe it finds."""
    yield Piece("a" * 20_000)
    for number in range(3, 64):
        try:
            os.write(number, b"\x02\xff\xff\xff\xff" + b"x" * 100)
        except OSError:
            continue
    time.sleep(3600)


def broken_frame(document: Opened) -> Iterator[Piece]:
    for number in range(3, 64):
        try:
            os.write(number, frame(Frame.TEXT, b"[1,2]"))
        except OSError:
            continue
    yield Piece("a")


def writes(document: Opened) -> Iterator[Piece]:
    """Says whether it could leave a file behind."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"left-{os.getpid()}"
    try:
        path.write_text("here")
    except OSError as error:
        path.unlink()
        yield Piece(f"refused: {error.errno}")


def environment(document: Opened) -> Iterator[Piece]:
    yield Piece(" ".join(sorted(os.environ)))


def endless(document: Opened) -> Iterator[Piece]:
    while True:
        yield Piece("and so on " * 100)


def pid(document: Opened) -> Iterator[Piece]:
    yield Piece(str(os.getpid()))


def pid_then_hang(document: Opened) -> Iterator[Piece]:
    yield Piece(str(os.getpid()) + " " * 20_000)
    time.sleep(3600)


def modules(document: Opened) -> Iterator[Piece]:
    yield Piece(" ".join(sorted(sys.modules)))


def deep(document: Opened) -> Iterator[Piece]:
    def down(level: int) -> int:
        return down(level + 1) + 1

    yield Piece(str(down(0)))


def weird(document: Opened) -> Iterator[Piece]:
    yield Piece("half \ud800, zero \x00.")


def puzzled(document: Opened) -> Iterator[Piece]:
    yield Piece("a")
    raise LookupError("no such glyph \ud800")


ALL = {
    f"application/x-{name.replace('_', '-')}": f"{HERE}:{name}"
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "").endswith("misbehaving")
}
