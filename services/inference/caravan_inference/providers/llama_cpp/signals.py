"""Keep the process's signal handlers while a C++ library installs its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Afterwards SIGINT and SIGTERM do again what they did before.

    The engine's server takes both for itself, below Python, and stops the engine when they come: a worker that
    wants to drain would hear nothing. Handlers can only be set in the main thread; elsewhere this does nothing.
    """
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                _install_again(number)


def _install_again(number: signal.Signals) -> None:
    handler = signal.getsignal(number)  # what Python believes is installed
    signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if hasattr(signal, "siginterrupt"):
        signal.siginterrupt(number, False)
