"""Each test has a mesh of its own: what it kills is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stored.upstream import NumberedUpstream
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    made = NumberedUpstream()
    made.host = "0.0.0.0"  # a worker in a network namespace reaches it by another address
    made.start()
    yield made
    made.stop()
