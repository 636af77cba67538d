"""The C++ server, bridged to asyncio.

A generation blocks a thread of the engine's own small pool for as long as it runs. The C++ side calls back on that
thread for every token; the callback only puts the bytes on a deque and wakes the event loop unless it has been woken
already, so that the loop finds in one turn everything that is ready.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from caravan_contracts.errors import InvalidRequest, Unavailable, UpstreamFailed

from caravan_inference.providers.llama_cpp import signals
from caravan_inference.providers.llama_cpp.options import Config
from caravan_inference.providers.llama_cpp.pieces import Piece, read
from caravan_inference.providers.llama_cpp.weights import INSTALL

log = logging.getLogger(__name__)

_SCHEMA_ERROR = re.compile(r".*(?=JSON schema)", re.DOTALL)
_CLOSE_SECONDS = 10.0
_LONGEST_SOCKET = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What the engine is asked, and which field of the client's body its refusals are about."""

    kind: Literal["chat", "completions"]
    body: dict[str, Any]
    schema_field: str | None = None

    @property
    def prompt_field(self) -> str:
        """Where the prompt came from."""
        return "messages" if self.kind == "chat" else "prompt"

    def encode(self) -> bytes:
        """Always as a stream that also reports its progress on the prompt: only a stream can be stopped."""
        options = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        return orjson.dumps({**self.body, **options})


class Engine:
    """One loaded model."""

    def __init__(self, config: Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._server: Any = None
        self._free = asyncio.Semaphore(config.parallel)
        self._threads = ThreadPoolExecutor(config.parallel, thread_name_prefix="llama")
        self._running: set[asyncio.Future[None]] = set()
        self._generations: set[Generation] = set()
        self.version = ""

    async def start(self) -> None:
        """Load the weights. Raises Unavailable when the runtime is missing or the model cannot be loaded."""
        with signals.kept():
            self._server = await asyncio.to_thread(self._load)

    async def close(self) -> None:
        """Stop what runs and free the memory."""
        for generation in self._generations:
            generation.stop()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
            if late:
                log.warning("%d generations of the engine did not stop; its memory stays taken", len(late))
                self._threads.shutdown(wait=False)
                return
        self._threads.shutdown(wait=False)
        await asyncio.to_thread(self._unload)

    @asynccontextmanager
    async def generate(self, request: Request) -> AsyncIterator[Generation]:
        """Run one request. Leaving the block stops it: the engine is free again after the step it is in.

        Waits while `parallel` others run.
        """
        await self._free.acquire()
        if self._server is None:
            self._free.release()
            raise Unavailable("the engine is closed")
        loop = asyncio.get_running_loop()
        generation = Generation(loop, request)
        done = loop.run_in_executor(self._threads, self._call, request, generation)
        self._running.add(done)
        self._generations.add(generation)
        generation.follow(done)
        done.add_done_callback(self._ended)
        try:
            yield generation
        finally:
            generation.stop()
            self._generations.discard(generation)

    def _ended(self, done: asyncio.Future[None]) -> None:
        self._running.discard(done)
        self._free.release()
        if not done.cancelled():
            done.exception()  # a generation that was left early has nobody to look at it

    def _call(self, request: Request, generation: Generation) -> None:
        # no local name for the server: a traceback that somebody keeps would keep the whole model in memory
        if request.kind == "chat":
            self._server.handle_chat_completions(request.encode(), generation.on_chunk)
        else:
            self._server.handle_completions(request.encode(), generation.on_chunk)

    def _load(self) -> Any:
        try:
            import xllamacpp
        except ImportError as error:
            raise Unavailable(f"the llama.cpp runtime is not installed: {INSTALL}") from error
        self.version = str(xllamacpp.__version__)
        try:
            # The engine insists on listening. It listens on a socket in a folder of ours, which is gone a moment
            # later together with this block: nobody can ever connect.
            with tempfile.TemporaryDirectory(prefix="caravan-llama-") as private:
                return xllamacpp.Server(self._parameters(xllamacpp, _address(private)))
        except (RuntimeError, OSError) as error:
            raise Unavailable(f"the engine could not load {self._path}: {error}") from error

    def _parameters(self, xllamacpp: Any, address: str) -> Any:
        config = self._config
        made = xllamacpp.CommonParams()
        made.model.path = str(self._path)
        made.n_ctx = config.context_length * config.parallel
        made.n_parallel = config.parallel
        made.n_batch = made.n_ubatch = config.batch
        made.cpuparams.n_threads = made.cpuparams_batch.n_threads = config.threads
        made.n_gpu_layers = config.gpu_layers
        made.cache_ram_mib = 0  # a copy of old prompts beside the slots' own, 8 GB by default
        made.warmup = False
        made.ui = False
        made.verbosity = -1  # prompts would be in its log
        made.hostnames = [address]
        made.api_keys = [secrets.token_hex(16)]
        made.n_threads_http = 1
        if config.chat_template:
            made.chat_template = config.chat_template
        return made

    def _unload(self) -> None:
        self._server = None


def _address(folder: str) -> str:
    """A socket in `folder`; where there can be none, a free port of this machine, behind a key nobody knows."""
    path = f"{folder}/engine.sock"
    return path if os.name == "posix" and len(path) < _LONGEST_SOCKET else "127.0.0.1"


class Generation:
    """What one request yields: iterate over it for lists of pieces, each list all that was ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: Request) -> None:
        self._loop = loop
        self._request = request
        self._chunks: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._woken = False
        self._stopped = False
        self._done: asyncio.Future[None] | None = None

    def follow(self, done: asyncio.Future[None]) -> None:
        """End when `done` does."""
        self._done = done
        done.add_done_callback(lambda _: self._wake.set())

    def stop(self) -> None:
        """Make the engine stop at its next sign of life (a token, or a step of the prompt)."""
        self._stopped = True

    def on_chunk(self, chunk: bytes) -> bool:
        """Called by the engine, on its thread. True = stop."""
        if self._stopped:
            return True
        self._chunks.append(chunk)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._wake.set)
            except RuntimeError:  # the loop is closed: the worker is gone
                return True
        return False

    async def __aiter__(self) -> AsyncIterator[list[Piece]]:
        """Raises InvalidRequest, ContextLengthExceeded or UpstreamFailed."""
        if self._done is None:
            raise RuntimeError("the generation was not begun")
        while True:
            await self._wake.wait()
            ended = self._done.done()
            self._wake.clear()
            self._woken = False  # before the deque is emptied, or a chunk could come without a wake-up
            pieces = []
            while self._chunks:
                piece = read(self._chunks.popleft(), self._request.prompt_field)
                if piece is not None:
                    pieces.append(piece)
            if pieces:
                yield pieces
            if ended:
                self._raise_failure(self._done)
                return

    def _raise_failure(self, done: asyncio.Future[None]) -> None:
        try:
            done.result()
        except ValueError as error:  # std::invalid_argument: what stood in the request
            text = _SCHEMA_ERROR.sub("", str(error))
            raise InvalidRequest(f"the engine refused: {text}", param=self._request.schema_field) from error
        except RuntimeError as error:
            raise UpstreamFailed(f"the engine failed: {error}") from error
