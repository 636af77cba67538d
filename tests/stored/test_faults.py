"""Whatever dies between the answer and the table, what was to be stored is stored."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import APIConnectionError, APIStatusError, OpenAI

from tests.mesh.running import RESPONSES, RunningMesh
from tests.stored.upstream import NumberedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def mortal(upstream: NumberedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("mortal"), upstream, scale=RESPONSES)
    made.start()
    yield made
    made.stop()


def connect(mesh: RunningMesh, retries: int = 0) -> OpenAI:
    return OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=retries, timeout=30)


def store(client: OpenAI, **more: Any) -> str:
    asked: dict[str, Any] = {"model": "up/plain", "messages": [{"role": "user", "content": "x"}], "store": True, **more}
    made: Any = client.chat.completions.create(**asked)
    if not asked.get("stream"):
        return str(made.id)
    ids = {chunk.id for chunk in made}
    return str(min(ids, key=len)) if len(ids) == 1 else next(i for i in ids if i.startswith("chatcmpl-"))


def pid(mesh: RunningMesh, name: str) -> int:
    """0 while it is dead."""
    return int(next(c["pid"] for c in mesh.state["children"] if c["name"] == name) or 0)


def all_there(client: OpenAI, ids: list[str]) -> bool:
    try:
        return all(client.chat.completions.retrieve(name).id == name for name in ids)
    except (APIStatusError, APIConnectionError):
        return False


def test_nothing_is_lost_when_the_storing_service_is_killed(mortal: RunningMesh) -> None:
    with connect(mortal, retries=2) as client, ThreadPoolExecutor(8) as pool:
        ids: list[str] = []
        for _ in range(4):
            pending = [pool.submit(store, client, stream=n % 2 == 0) for n in range(25)]
            mortal.kill9("agents")
            ids += [one.result() for one in pending]
            mortal.until(lambda: pid(mortal, "agents") > 0 and mortal.all_ready())
        assert len(set(ids)) == 100
        mortal.until(lambda: all_there(client, ids))
        listed = [row.id for row in client.chat.completions.list(limit=100)]
        assert len(listed) == len(set(listed)), "no job made two rows"


def test_answers_do_not_wait_for_the_storing_service(mortal: RunningMesh) -> None:
    agents = mortal.pid("agents")
    with connect(mortal) as client:
        store(client)
        os.kill(agents, signal.SIGSTOP)
        try:
            began = time.monotonic()
            ids = [store(client, stream=n % 2 == 0) for n in range(20)]
            assert time.monotonic() - began < 5
        finally:
            os.kill(agents, signal.SIGCONT)
        mortal.until(lambda: all_there(client, ids))


def test_postgres_may_be_killed(mortal: RunningMesh) -> None:
    with connect(mortal, retries=2) as client:
        mortal.kill9("postgres")
        ids = [store(client) for _ in range(20)]
        mortal.until(lambda: all_there(client, ids))


def test_nats_may_be_killed(mortal: RunningMesh) -> None:
    with connect(mortal, retries=2) as client:
        os.kill(mortal.pid("agents"), signal.SIGSTOP)  # so that the queue still has them when its server dies
        try:
            ids = [store(client) for _ in range(20)]
            mortal.kill9("nats")
        finally:
            os.kill(mortal.pid("agents"), signal.SIGCONT)
        mortal.until(lambda: all_there(client, ids))
        ids.append(store(client))
        mortal.until(lambda: all_there(client, ids))


def test_a_gateway_that_dies_behind_its_answer_has_handed_it_over(mortal: RunningMesh) -> None:
    """Streamed and not: it is a matter of which bytes leave first."""
    ids = []
    for n in range(3):
        with connect(mortal, retries=5) as client:
            old = mortal.pid("gateway")
            ids.append(store(client, stream=n % 2 == 0))
            os.kill(old, signal.SIGKILL)
            mortal.until(lambda old=old: pid(mortal, "gateway") not in (0, old) and bool(mortal.model_ids()))
    with connect(mortal, retries=2) as client:
        mortal.until(lambda: all_there(client, ids))


def test_a_rolling_end_stores_what_is_under_way(mortal: RunningMesh) -> None:
    with connect(mortal, retries=2) as client, ThreadPoolExecutor(8) as pool:
        pending = [pool.submit(store, client) for _ in range(40)]
        os.kill(mortal.pid("agents"), signal.SIGTERM)
        ids = [one.result() for one in pending]
        mortal.until(lambda: all_there(client, ids))
