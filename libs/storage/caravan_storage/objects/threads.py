"""File work off the event loop: few threads, and for one file never two at once."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

from caravan_contracts.errors import DependencyDown

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE: Final = 8
"""Threads of one folder."""
WAIT_SECONDS: Final = 120.0
"""One piece of work on the disk, the line for a thread included. The longest is making sure of a large object."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Threads:
    """The threads of one folder."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects")

    def turns(self) -> Turns:
        """For the calls of one file."""
        return Turns(self._pool)

    def close(self) -> None:
        """Takes no more work; what is under way ends."""
        self._pool.shutdown(wait=False)


class Turns:
    """Calls on one thing in threads, one after the other.

    A thread goes on when its caller was cancelled; without turns the file would then be closed under its hands, and
    its number be another file's.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._turn = threading.Lock()

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns. Raises DependencyDown for errors of the disk."""

        def locked() -> T:
            with self._turn:
                return call(*args, **kwargs)

        loop = asyncio.get_running_loop()
        with disk_errors():
            async with asyncio.timeout(WAIT_SECONDS):
                return await loop.run_in_executor(self._pool, locked)


@contextmanager
def disk_errors() -> Iterator[None]:
    """What the disk says, as an error of ours."""
    try:
        yield
    except TimeoutError as error:
        raise DependencyDown("the disk of the object store does not answer", retry_after=5) from error
    except OSError as error:
        if error.errno in _FULL:
            raise DependencyDown("the disk of the object store is full", retry_after=60) from error
        reason = error.strerror or type(error).__name__
        raise DependencyDown(f"the folder of the object store cannot be used: {reason}", retry_after=5) from error
