"""kill -9 of a gateway: exactly its own connections break, and what it had taken is given back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from tests.chaos.load import Line, read_stream, words
from tests.chaos.place import eventually, read_metric
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]
TOKENS, DELAY_MS = 300, 50
FREE_SECONDS = 10.0


@pytest.fixture
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("death"), upstream, scale="gateway=2,inference=2")
    made.start()
    yield made
    made.stop()


def held(mesh: RunningMesh, name: str) -> set[int]:
    """Ports of the clients whose connections a process has."""
    return {it.raddr.port for it in psutil.Process(mesh.pid(name)).net_connections("tcp") if it.raddr}


def slots_used(mesh: RunningMesh) -> float:
    ports = [port for name, port in mesh.state["ports"].items() if name.startswith("ops-inference")]
    return sum(read_metric(f"http://127.0.0.1:{port}", "caravan_slots_used") for port in ports)


async def asked(line: Line, stream: bool) -> tuple[str, bool]:
    """The text that came, and whether it ended well."""
    message = {"role": "user", "content": "hello"}
    body = {"model": f"up/slow-{DELAY_MS}", "messages": [message], "max_tokens": TOKENS, "stream": stream}
    try:
        status, answer = await line.ask(body)
    except (OSError, EOFError):
        return "", False
    assert status == 200, answer
    return read_stream(answer) if stream else (json.loads(answer)["choices"][0]["message"]["content"], True)


async def test_a_killed_gateway_costs_its_own_connections_and_nothing_else(
    mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    port = urlsplit(mesh.url).port
    assert port is not None
    lines: list[Line] = []
    while not lines or min(_shares(mesh, lines)) < 4:
        lines.append(await Line.open(port))
        assert len(lines) < 100
        await asyncio.sleep(0.01)
    doomed = held(mesh, "gateway-1")
    tasks = {line: asyncio.create_task(asked(line, number % 3 != 0)) for number, line in enumerate(lines)}
    spared = sum(line.port not in doomed for line in lines)
    try:
        await eventually(lambda: upstream.open == len(lines))
        await asyncio.sleep(1)
        mesh.kill9("gateway-1")
        began = time.monotonic()
        await eventually(lambda: upstream.open == spared, FREE_SECONDS)
        await eventually(lambda: slots_used(mesh) == spared, FREE_SECONDS)
        print(f"{len(lines) - spared} of {len(lines)} slots free after {time.monotonic() - began:.1f} s")
        ended = dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
    finally:
        for task in tasks.values():
            task.cancel()
        for line in lines:
            line.close()
    for line, (text, well) in ended.items():
        assert well is (line.port not in doomed)
        assert text == (words(TOKENS) if well else "")
    await eventually(lambda: slots_used(mesh) == 0 and upstream.open == 0)


def _shares(mesh: RunningMesh, lines: list[Line]) -> tuple[int, int]:
    mine = {line.port for line in lines}
    return len(mine & held(mesh, "gateway-1")), len(mine & held(mesh, "gateway-2"))
