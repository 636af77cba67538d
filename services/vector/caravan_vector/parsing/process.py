"""One worker process, as the service sees it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from caravan_vector.parsing.errors import InvalidFile, ParserFailed
from caravan_vector.parsing.frames import HEADER, MAX_PAYLOAD, MAX_REQUEST, BadFrame, Frame
from caravan_vector.parsing.limits import MIB, Limits

log = logging.getLogger(__name__)
BREAKS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP})
"""Signals by which a process ends that broke by itself; libraries in C++ use them when memory runs out as well."""
KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""What of the service's environment a worker sees: no keys, no addresses."""
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Document:
    """A document to be read: a file on this machine, which nobody changes meanwhile."""

    path: Path
    filename: str = ""
    """The name under which it was uploaded."""
    media_type: str = ""
    """As declared; "" or application/octet-stream = not known."""


class WorkerGone(Exception):
    """The worker ended before it began with the document."""


class Worker:
    """A process that reads one document at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.documents = 0
        """So many were read here."""

    @classmethod
    async def start(cls, limits: Limits) -> Worker:
        """Start one. Raises ParserFailed when the machine does not let us."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-s", "-B", "-m", "caravan_vector.parsing.worker", str(os.getpid()), str(limits.memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,  # what a terminal sends is for the service
            )
        except OSError as error:
            raise ParserFailed(f"no process could be started to read the document: {error}") from error
        return cls(process)

    @property
    def alive(self) -> bool:
        """Not known to have ended."""
        return self._process.returncode is None

    async def ask(self, document: Document, limits: Limits, parsers: Mapping[str, str], timeout: float) -> None:
        """Hand over a document and wait until the worker begins with it.

        Raises WorkerGone if it ended before, ParserFailed when it does not begin within `timeout` seconds.
        """
        self.documents += 1
        request = {
            "path": str(document.path.absolute()),
            "filename": _sendable(document.filename),
            "media_type": _sendable(document.media_type),
            "limits": asdict(limits),
            "parsers": dict(parsers),
        }
        line = orjson.dumps(request) + b"\n"
        if len(line) > MAX_REQUEST:
            raise InvalidFile("the document's name is too long")
        stdin = self._process.stdin
        assert stdin is not None
        try:
            async with asyncio.timeout(timeout):
                stdin.write(line)
                await stdin.drain()
                kind, _ = await self._frame()
        except (BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError) as error:
            raise WorkerGone from error
        except TimeoutError as error:
            raise ParserFailed(f"the process that reads documents did not begin within {timeout:g} s") from error
        if kind is not Frame.BEGUN:
            raise BadFrame("not begun")

    async def next(self, limits: Limits, left: float) -> tuple[Frame, bytes, float]:
        """The next frame and how many of the `left` seconds are left then.

        Raises the DocumentError that the worker's end means, if that is what comes.
        """
        since = time.monotonic()
        try:
            async with asyncio.timeout(left):
                kind, payload = await self._frame()
        except TimeoutError as error:
            message = f"reading the document takes longer than {limits.seconds:g} s"
            raise InvalidFile(message, bound="seconds") from error
        except (asyncio.IncompleteReadError, ConnectionResetError) as error:
            raise await self._why(limits) from error
        return kind, payload, left - (time.monotonic() - since)

    async def kill(self) -> None:
        """End it and take it off the table of processes; also when the caller is being cancelled."""
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass  # it was quicker
        self._close_pipes()
        await asyncio.shield(asyncio.create_task(self._reaped()))

    async def _reaped(self) -> None:
        try:
            await self._ended()
        except TimeoutError:
            log.warning("a parser process (pid %d) does not end though it was killed", self._process.pid)

    async def _ended(self) -> int:
        async with asyncio.timeout(END_SECONDS):
            return await self._process.wait()

    def _close_pipes(self) -> None:
        """Some versions of asyncio see the end of a process when its pipes are read up, which nobody will do."""
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()

    async def _frame(self) -> tuple[Frame, bytes]:
        stdout = self._process.stdout
        assert stdout is not None
        kind, size = HEADER.unpack(await stdout.readexactly(HEADER.size))
        if size > MAX_PAYLOAD or kind not in Frame.__members__.values():
            raise BadFrame(f"kind {kind}, {size} bytes")
        return Frame(kind), await stdout.readexactly(size)

    async def _why(self, limits: Limits) -> InvalidFile | ParserFailed:
        """What it means that the pipe was closed in the middle of a document."""
        try:
            code = await self._ended()
        except TimeoutError:
            return ParserFailed("the process that read the document closed its pipe")
        if code == -signal.SIGXCPU:
            return InvalidFile(
                f"reading the document takes more than {limits.cpu_seconds} s of a processor", bound="cpu_seconds"
            )
        if -code in BREAKS:
            memory = f"{limits.memory_bytes // MIB} MiB"
            return InvalidFile(
                f"the document broke its parser ({signal.Signals(-code).name}), or took more than {memory} of memory"
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ParserFailed(f"the process that read the document ended ({how})")


def _sendable(text: str) -> str:
    """Without half characters, which JSON does not take."""
    return text.encode("utf-8", "replace").decode()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": "0"}
