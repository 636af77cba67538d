"""What holds for every test: the servers they need can be had, or nothing begins."""

from __future__ import annotations

import pytest

from tests.infrastructure import choice
from tests.infrastructure.protocol import CannotRun


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):  # one of several processes: the first has looked
        return
    try:
        choice.runtime().prepare()
    except CannotRun as error:
        raise pytest.UsageError(str(error)) from error
