"""How every service runs: uvloop, one task of work, SIGTERM and SIGINT drain it, errors of start-up say what to do."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import NoReturn, TypeVar

from caravan_contracts.errors import CaravanError
from pydantic import ValidationError

from caravan_bus import allocator

log = logging.getLogger(__name__)

S = TypeVar("S")

Main = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then drains and returns."""


def run(service: str, main: Main) -> int:
    """Run `main` and return the exit code; to be the last call of a service's ``main()``."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_run(service, main))
    return uvloop.run(_run(service, main))


def serve(service: str, settings: Callable[[], S], main: Callable[[S, asyncio.Event], Awaitable[None]]) -> NoReturn:
    """A whole service: its `settings` from the environment, then `main` with them as :func:`run` runs it. Leaves with
    2, and a line for each, when something is wrong in the environment."""
    try:
        read = settings()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "settings"
            sys.stderr.write(f"caravan {service}: {name}: {problem['msg']}\n")
        sys.exit(2)
    sys.exit(run(service, lambda stop: main(read, stop)))


async def _run(service: str, main: Main) -> int:
    # requests leave few cycles behind, and what is there now stays: look for them less often than by default
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    allocator.keep_some()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    hits = 0

    def on_signal() -> None:
        nonlocal hits
        hits += 1
        if hits > 1:
            log.warning("second signal: leaving at once")
            for task in asyncio.all_tasks():
                task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows

            def handler(_signum: int, _frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(on_signal)

            signal.signal(number, handler)
    trimming = asyncio.create_task(allocator.give_back(), name="give-memory-back")
    try:
        await main(stop)
    except CaravanError as error:
        log.error("%s", error.message)
        sys.stderr.write(f"caravan {service}: {error.message}\n")
        return 1
    except asyncio.CancelledError:
        return 130
    finally:
        trimming.cancel()
    return 0
