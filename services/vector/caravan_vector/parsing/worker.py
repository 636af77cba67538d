"""The process that reads documents, one after the other: `python -m caravan_vector.parsing.worker PARENT_PID MEMORY`.

It hears requests on its standard input and answers with frames on what was its standard output. It has no secrets in
its environment, can write no files, and ends with the service that started it. MEMORY is in bytes.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from caravan_vector.parsing.errors import DocumentError, InvalidFile, ParserFailed, UnsupportedFile
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.frames import MAX_PIECE, MAX_REQUEST, Frame, frame, from_piece
from caravan_vector.parsing.limits import MIB, Limits
from caravan_vector.parsing.pieces import NOWHERE, Piece, Place
from caravan_vector.parsing.sniffing import decide
from caravan_vector.parsing.types import bare

PR_SET_PDEATHSIG = 1
OPEN_FILES = 64
OVERRUN = 77
"""The exit code after memory ran out: whatever is left of the process is not to be trusted."""
_GATHERED = MAX_PIECE // 2
Parser = Callable[[Opened], Iterator[Piece]]


@dataclass(slots=True)
class Out:
    """The text of one document on its way out: pieces of a useful size, and no more than is allowed."""

    file: BinaryIO
    most: int
    sent: int = 0
    waiting: str = ""
    place: Place = NOWHERE

    def take(self, piece: Piece) -> None:
        """Short pieces of one place are gathered, long ones are cut. Raises InvalidFile over the bound."""
        if piece.place != self.place or len(self.waiting) >= _GATHERED:
            self.flush()
        self.place = piece.place
        for start in range(0, len(piece.text), _GATHERED):
            self.waiting += piece.text[start : start + _GATHERED]
            if len(self.waiting) >= _GATHERED:
                self.flush()

    def flush(self) -> None:
        """Send what is gathered; waits for as long as nobody reads it."""
        if not self.waiting:
            return
        self.sent += len(self.waiting.encode("utf-8", "replace"))
        if self.sent > self.most:
            raise InvalidFile(f"the text of the document is longer than {self.most} bytes", bound="text_bytes")
        self.file.write(frame(Frame.TEXT, from_piece(Piece(self.waiting, self.place))))
        self.file.flush()
        self.waiting = ""


def main() -> None:
    """See the top of the file."""
    parent, memory = int(sys.argv[1]), int(sys.argv[2])
    _end_with(parent)
    requests, answers = _take_over_pipes()
    _bound(memory)
    for line in iter(lambda: requests.readline(MAX_REQUEST), b""):
        answers.write(frame(Frame.BEGUN))
        answers.flush()
        code = _answer(orjson.loads(line), answers, memory)
        answers.flush()
        if code:
            os._exit(code)


def _end_with(parent: int) -> None:
    """Die when the service dies, however it dies; elsewhere than on Linux the closed pipes end an idle worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # those are meant for the service, which ends us when it is ready
        signal.signal(number, signal.SIG_IGN)


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes away from 0 and 1, where a library that prints would spoil them."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb", buffering=64 * 1024)


def _bound(memory: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (bound, bound))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise  # macOS takes no bound of memory


def _bound_cpu(seconds: int) -> None:
    """Counted from now: the limit is the whole process's."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _more_time(limits: Limits, answers: BinaryIO) -> None:
    """Of a processor, here; of the clock, which the service holds and counts along."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = soft + limits.ocr_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    answers.write(frame(Frame.MORE_TIME))
    answers.flush()


def _answer(request: dict[str, Any], answers: BinaryIO, memory: int) -> int:
    """Read one document; returns the code to exit with, 0 = go on with the next."""
    limits = Limits(**request["limits"])
    _bound_cpu(limits.cpu_seconds)
    try:
        _read(request, limits, answers)
    except MemoryError:
        what = f"reading the document takes more than {memory // MIB} MiB of memory"
        _fail(answers, InvalidFile(what, bound="memory_bytes"))
        return OVERRUN
    except RecursionError:
        _fail(answers, InvalidFile("the document is nested too deeply"))
    except DocumentError as error:
        _fail(answers, error)
    except BrokenPipeError:
        return 1
    except OSError as error:  # its own words would name our paths
        _fail(answers, InvalidFile(f"the document cannot be read: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - whatever a parser stumbles over is a fact about this document
        _fail(answers, InvalidFile(f"the document cannot be read: {type(error).__name__}: {error}"))
    return 0


def _read(request: dict[str, Any], limits: Limits, answers: BinaryIO) -> None:
    path = Path(request["path"])
    try:
        file = path.open("rb")
    except OSError as error:
        raise ParserFailed(f"the document cannot be opened: {error.strerror}") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.file_bytes:
            raise InvalidFile(f"the document is longer than {limits.file_bytes} bytes", bound="file_bytes")
        out = Out(answers, limits.text_bytes)
        document = Opened(file, size, limits, lambda: _more_time(limits, answers))
        for piece in _parser(request, file)(document):
            out.take(piece)
        out.flush()
    answers.write(frame(Frame.END, orjson.dumps({"text_bytes": out.sent})))


def _parser(request: dict[str, Any], file: BinaryIO) -> Parser:
    """The parser that the operator set for the declared type, or the one of the table."""
    declared = request["media_type"]
    name = request["parsers"].get(bare(declared)) or decide(file, declared, request["filename"]).parser
    module, _, function = name.partition(":")
    try:
        parser: Parser = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise UnsupportedFile(f"the parser {name} is not installed: {error}") from error
    return parser


def _fail(answers: BinaryIO, error: DocumentError) -> None:
    said = {"kind": type(error).__name__, "message": error.message[:1000], "bound": error.bound}
    text = orjson.dumps({key: value and value.encode("utf-8", "replace").decode() for key, value in said.items()})
    answers.write(frame(Frame.ERROR, text))


if __name__ == "__main__":
    main()
