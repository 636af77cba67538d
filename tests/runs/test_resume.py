"""A stream that is cut anywhere goes on behind its last whole event, at whichever gateway is asked: what was read is,
byte for byte, what was said."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA
from tests.responses.machine import follow

LONG = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(240)]
NUMBER = re.compile(rb'"sequence_number":(\d+)')
BACKGROUND = {"model": "up/slow-10", "input": "hello", "stream": True, "background": True, "max_output_tokens": 250}
FOREGROUND = {"model": "up/slow-5", "input": "hello", "stream": True, "max_output_tokens": 120}
TOOLS = {"model": "up/tools", "input": "hello", "stream": True, "tools": [{"type": "function", "name": "weather"}]}
BODIES = [
    pytest.param(BACKGROUND, id="background"),
    pytest.param(FOREGROUND, id="foreground", marks=pytest.mark.long),
    pytest.param(TOOLS, id="tools", marks=pytest.mark.long),
]


class Reader:
    """One client, on a connection of its own each time."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.random = random.Random(seed)
        self.cuts = 0

    def connect(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, headers={"Authorization": f"Bearer {ADA}"})

    def cut(self, answer: httpx.Response, least: int = 0) -> bytes:
        """What came of it until it was cut, at a random byte; whole events alone."""
        wanted = max(least, self.random.choice((0, 1, 300, 2_000, 20_000)) + self.random.randrange(4_000))
        seen = b""
        for piece in answer.iter_bytes():
            seen += piece
            if len(seen) > wanted:
                seen = seen[:wanted]
                break
        self.cuts += 1
        return seen[: seen.rfind(b"\n\n") + 2] if b"\n\n" in seen else b""

    def read(self, body: dict[str, Any], cuts: int) -> tuple[str, bytes]:
        """A response, read with so many cuts; its id and all of its events."""
        with self.connect() as client, client.stream("POST", "/v1/responses", json=body) as answer:
            assert answer.status_code == 200
            if body.get("background"):
                seen = self.cut(answer, least=2_000)
            else:
                seen = answer.read()  # whoever leaves a response in the foreground ends it
        name = NUMBER.sub(b"", seen).partition(b'"id":"')[2].partition(b'"')[0].decode()
        if not body.get("background"):
            seen = b""
        for _ in range(cuts):
            seen += self.rest(name, seen, whole=False)
        return name, seen + self.rest(name, seen, whole=True)

    def rest(self, name: str, seen: bytes, whole: bool) -> bytes:
        found = NUMBER.findall(seen)
        params: dict[str, Any] = {"stream": "true"}
        if found:
            params["starting_after"] = int(found[-1])
        with self.connect() as client, client.stream("GET", f"/v1/responses/{name}", params=params) as answer:
            assert answer.status_code == 200, answer.read()
            return answer.read() if whole else self.cut(answer)


@pytest.mark.parametrize("cuts", [40, pytest.param(200, marks=LONG)])
@pytest.mark.parametrize("body", BODIES)
def test_a_stream_is_the_same_however_often_it_is_cut(mesh: RunningMesh, body: dict[str, Any], cuts: int) -> None:
    readers = [Reader(mesh.url, seed) for seed in range(5)]
    with ThreadPoolExecutor(len(readers)) as pool:
        read = list(pool.map(lambda reader: reader.read(body, cuts // len(readers)), readers))
    assert sum(reader.cuts for reader in readers) >= cuts
    for reader, (name, seen) in zip(readers, read, strict=True):
        assert seen == reader.rest(name, b"", whole=True)
        machine = follow(seen)
        assert machine.terminal is not None and machine.terminal["status"] == "completed"
