"""A large body is let go of as soon as the next one on its way has it: agents ask for many long answers to long
prompts, and each of them lasts for minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx2 as httpx
import psutil
import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture
def forgetful(upstream: ScriptedUpstream) -> Iterator[ScriptedUpstream]:
    before = len(upstream.requests)
    yield upstream
    del upstream.requests[before:]


# what fits into a message stays at the gateway: another target may have to go on with a stream that breaks
@pytest.mark.parametrize(
    ("size", "streams", "names"),
    [(1_500_000, 32, ("gateway", "inference")), (200_000, 160, ("inference",))],
    ids=["claimed", "inline"],
)
def test_who_passed_a_body_on_does_not_keep_it(
    mesh: RunningMesh, forgetful: ScriptedUpstream, size: int, streams: int, names: tuple[str, ...]
) -> None:
    processes = [psutil.Process(mesh.pid(name)) for name in names]
    body = {"model": "up/silent-3", "stream": True, "messages": [{"role": "user", "content": "x" * size}]}
    before = [process.memory_info().rss for process in processes]
    reading: list[Iterator[bytes]] = []
    many = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=mesh.url, timeout=60, limits=many) as http, ExitStack() as opened:
        for _ in range(streams):
            answer = opened.enter_context(http.stream("POST", "/v1/chat/completions", json=body))
            assert answer.status_code == 200, answer.read()
            events = answer.iter_bytes()
            assert next(events)
            reading.append(events)  # an iterator that is forgotten closes its connection
        grown = [process.memory_info().rss - was for process, was in zip(processes, before, strict=True)]
    # reading some bodies leaves a few megabytes behind, far from what all of them are
    assert all(more < size * streams // 2 for more in grown), dict(zip(names, grown, strict=True))
    mesh.until(lambda: forgetful.open == 0)
