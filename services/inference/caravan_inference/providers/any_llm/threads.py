"""SDKs that block: each of their calls runs on a thread with an event loop of its own.

A thread cannot be stopped. When its call is cancelled it ends at the upstream's next chunk, or when the upstream has
been silent for as long as its SDK's time limit allows.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
AHEAD: Final = 16
"""Chunks a thread may be ahead of whoever reads them."""
_LOOK_SECONDS: Final = 0.5
_END: Final = object()


async def result(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` returns, run on a thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def run() -> None:
        try:
            value, error = asyncio.run(_awaited(work)), None
        except BaseException as raised:  # noqa: BLE001  handed over to whoever waits
            value, error = None, raised
        _tell(loop, settle, value, error)

    threading.Thread(target=run, name="any-llm", daemon=True).start()
    return await future


async def stream(work: Callable[[], Awaitable[AsyncIterator[T]]]) -> AsyncGenerator[T, None]:
    """The items of the iterator that `work` returns, made and read on a thread."""
    passage: _Passage[T] = _Passage(asyncio.get_running_loop())
    threading.Thread(target=passage.run, args=(work,), name="any-llm-stream", daemon=True).start()
    try:
        while True:
            item, error = await passage.queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            passage.free.release()
    finally:
        passage.gone.set()


class _Passage(Generic[T]):
    """From a thread to a loop, a bounded number of items at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue()  # bounded by `free`
        self.free = threading.Semaphore(AHEAD)
        self.gone = threading.Event()
        self._loop = loop

    def run(self, work: Callable[[], Awaitable[AsyncIterator[T]]]) -> None:
        """The thread."""
        error: BaseException | None = None
        try:
            asyncio.run(self._pump(work))
        except BaseException as raised:  # noqa: BLE001  handed over to whoever reads
            error = raised
        _tell(self._loop, self.queue.put_nowait, (_END, error))

    async def _pump(self, work: Callable[[], Awaitable[AsyncIterator[T]]]) -> None:
        async for item in await work():
            while not self.free.acquire(timeout=_LOOK_SECONDS):
                if self.gone.is_set():
                    return
            if self.gone.is_set():
                return
            _tell(self._loop, self.queue.put_nowait, (item, None))


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:  # the loop is closed: the worker has gone, and nobody is left to be told
        return
