"""A load of responses of every way to ask for one; what goes wrong with any of them is told."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2 as httpx
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.runs.waiting import ended

KINDS = ("streamed", "whole", "background", "followed")


@dataclass
class ResponseLoad:
    """Entered, `each` clients of each kind ask for one response after the other, of `tokens` tokens; left, they finish
    what is under way."""

    mesh: RunningMesh
    key: str = "none"
    each: int = 2
    tokens: int = 40
    wrong: list[str] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)
    _clients: list[Future[None]] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))

    def __enter__(self) -> Self:
        for kind in KINDS * self.each:
            self._clients.append(self._pool.submit(self._client, kind))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def _client(self, kind: str) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        with (
            httpx.Client(base_url=self.mesh.url, headers=headers, timeout=60) as http,
            OpenAI(base_url=f"{self.mesh.url}/v1", api_key=self.key, max_retries=0, timeout=60) as client,
        ):
            while not self._over.is_set():
                try:
                    text = self._one(kind, http, client)
                except Exception as error:  # noqa: BLE001 - all that a client may see is told
                    self.wrong.append(f"{kind}: {error!r}")
                else:
                    self.made[kind] += 1
                    if text != "".join(f"w{number} " for number in range(self.tokens)):
                        self.wrong.append(f"{kind}: {text!r}")

    def _one(self, kind: str, http: httpx.Client, client: OpenAI) -> str:
        asked: dict[str, Any] = {"model": "up/slow-50", "input": "hello", "max_output_tokens": self.tokens}
        if kind == "whole":
            return client.responses.create(**asked).output_text
        if kind == "background":
            made = ended(client, client.responses.create(**asked, background=True).id, 60)
            assert made.status == "completed", made.error
            return made.output_text
        answer = http.post("/v1/responses", json={**asked, "stream": True, "background": kind == "followed"})
        assert answer.status_code == 200, answer.text
        machine = follow(answer.content)
        assert machine.terminal is not None and machine.terminal["status"] == "completed", machine.terminal
        return str(machine.terminal["output"][0]["content"][0]["text"])
