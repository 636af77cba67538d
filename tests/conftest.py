"""What holds for every test: the servers they need can be had, or nothing begins."""

from __future__ import annotations

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

from tests import scheduling
from tests.infrastructure import choice
from tests.infrastructure.protocol import CannotRun
from tests.mesh import shared


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):  # one of several processes: the first has looked
        return
    try:
        choice.runtime().prepare()
    except CannotRun as error:
        raise pytest.UsageError(str(error)) from error


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until all tests are found: what is made by then stays, and is much to look through
    if sys.dont_write_bytecode:
        _keep_bytecode(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a shell that does not wait for it: what tests
        signal.signal(signal.SIGINT, signal.default_int_handler)  # start would ignore Ctrl-C too
    settings.register_profile("patient", deadline=None)  # 200 ms are nothing on a machine that is busy
    settings.load_profile("patient")
    config.pluginmanager.register(shared)
    config.pluginmanager.register(scheduling)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _keep_bytecode(config: pytest.Config) -> None:
    """What a shell says that wants no ``__pycache__`` beside its sources. Hundreds of processes of the tests would each
    compile all that they import, which is more work than the tests are: they keep it among pytest's own files."""
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(config.rootpath / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""
