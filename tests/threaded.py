"""A server of a test that is not async itself, in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Server = TypeVar("Server")


@contextmanager
def threaded(server: AbstractAsyncContextManager[Server]) -> Iterator[Server]:
    """Enter `server` there, and leave it in the end."""
    ready, ends = threading.Event(), threading.Event()
    made: list[Server] = []

    async def serve() -> None:
        async with server as entered:
            made.append(entered)
            ready.set()
            await asyncio.to_thread(ends.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield made[0]
    finally:
        ends.set()
        thread.join(10)
