"""Each test has a mesh of its own: what it kills is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()
