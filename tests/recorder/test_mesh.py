"""Record and replay over a whole mesh: the upstream is gone, and its clients get the same bytes in the same rhythm."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from aiohttp import web
from caravan_recorder import cassette
from caravan_recorder.cassette import Outcome
from openai import OpenAI

from tests.mesh.running import CHATS, RESPONSES, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

HELLO = [{"role": "user", "content": "How is the weather in Paris?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
GAPS_MS = (0, 150, 60, 240, 90, 180)
ARGUMENTS = ('{"ci', 'ty":', '"Pa', 'ris"}')
TOLERANCE = 0.045
"""Seconds; this machine may be busy."""
AT_ONCE = 0.03


class PacedUpstream(ScriptedUpstream):
    """Answers the model `paced` with a tool call in pieces, GAPS_MS apart."""

    async def _stream(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        if name != "paced":
            return await super()._stream(request, body, name, number)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [call]}]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ARGUMENTS]
        for gap, delta in zip(GAPS_MS, [*deltas, {}], strict=True):
            await asyncio.sleep(gap / 1000)
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "tool_calls"}
            chunk = {"id": "chatcmpl-p", "object": "chat.completion.chunk", "model": body["model"], "choices": [choice]}
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


@dataclass
class Got:
    """What a client saw: status, bytes, and when each read brought some."""

    status: int
    data: bytes
    times: list[float]

    @property
    def gaps(self) -> list[float]:
        """Seconds between the pieces; what comes at once may arrive in one read or in two."""
        return [gap for gap in (after - before for before, after in pairwise(self.times)) if gap > AT_ONCE]


def ask(mesh: RunningMesh, model: str, stream: bool = True, **more: object) -> Got:
    where = urlsplit(mesh.url)
    line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    body = {"model": model, "messages": HELLO, "tools": TOOLS, "stream": stream, **more}
    try:
        line.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = line.getresponse()
        parts, times = [], []
        while part := response.read1(1 << 16):
            parts.append(part)
            times.append(time.monotonic())
        return Got(response.status, b"".join(parts), times)
    finally:
        line.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[PacedUpstream]:
    made = PacedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mesh(upstream: PacedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("recorded"), upstream, scale=RESPONSES)
    made.start()
    yield made
    made.stop()


@contextmanager
def running(mesh: RunningMesh, *arguments: str, ready: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until Ctrl-C, from the moment at which it says that it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "caravan", *arguments, "--data-dir", str(mesh.folder / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    try:
        said = ""
        while ready not in said:
            line = child.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        yield child
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=90)
        assert child.returncode == 0, said + rest
    finally:
        if child.poll() is None:
            child.kill()
        child.stdout.close()


def recording(mesh: RunningMesh, path: Path, *more: str) -> Any:
    return running(mesh, "record", str(path), *more, ready="Recording into")


def replaying(mesh: RunningMesh, path: Path, *more: str) -> Any:
    return running(mesh, "replay", str(path), *more, ready="Replaying")


def written(path: Path, count: int) -> bool:
    return len(cassette.read(path).recordings) >= count


def test_a_tool_calling_stream_is_replayed_byte_for_byte_in_its_rhythm_without_its_upstream(
    mesh: RunningMesh, upstream: PacedUpstream, tmp_path: Path
) -> None:
    path = tmp_path / "weather.jsonl"
    with recording(mesh, path):
        live = ask(mesh, "up/paced")
        whole = ask(mesh, "up/tools", stream=False)
        refused = ask(mesh, "up/status-422")
        mesh.until(lambda: written(path, 3))
    assert (live.status, whole.status, refused.status) == (200, 200, 422)
    kept = cassette.read(path).recordings
    assert [(r.outcome, r.note) for r in kept] == [(Outcome.COMPLETE, ""), (Outcome.COMPLETE, ""), (Outcome.ERROR, "")]
    assert kept[0].answer == live.data, "what the client got is what is in the file"
    with upstream.down(), replaying(mesh, path):
        again = [ask(mesh, "replay/paced") for _ in range(2)]
        assert [got.data for got in again] == [live.data] * 2
        for got in again:
            assert len(got.gaps) == len(live.gaps) == len(GAPS_MS) - 1
            assert all(abs(a - b) < TOLERANCE for a, b in zip(got.gaps, live.gaps, strict=True)), (got.gaps, live.gaps)
        assert ask(mesh, "replay/tools", stream=False).data == whole.data
        assert ask(mesh, "replay/status-422").data == refused.data
        miss = ask(mesh, "replay/paced", temperature=1)
        assert miss.status == 404
        assert "They differ at temperature: recorded nothing, asked 1" in json.loads(miss.data)["error"]["message"]
        with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0) as client:
            with client.chat.completions.stream(
                model="paced",
                messages=HELLO,  # type: ignore[arg-type]
                tools=TOOLS,  # type: ignore[arg-type]
            ) as stream:
                calls = stream.get_final_completion().choices[0].message.tool_calls
            assert calls is not None and calls[0].function.arguments == '{"city":"Paris"}'
        faster = mesh.command("replay", str(path), "--as-load", "replay/tools", "--speed", "0", "--json")
        assert faster.returncode == 1, "two of the three requests were recorded for other models"
        report = json.loads(faster.stdout)
        assert (report["sent"], report["ok"], report["errors"]) == (3, 1, {"no_recording": 2})
    mesh.until(lambda: not [name for name in mesh.model_ids() if name.startswith("replay/")])
    logs = "".join(mesh.log(name) for name in ("nats", "gateway", "inference", "registry"))
    assert "permissions violation" not in logs.lower()


def test_without_pauses_it_is_fast_and_equal_requests_get_their_answers_in_order(
    mesh: RunningMesh, tmp_path: Path
) -> None:
    path = tmp_path / "made.jsonl"
    request = {"model": "any", "messages": HELLO, "tools": TOOLS}
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}]
    slow = cassette.streamed("any", request, chunks * 5, gap_ms=2000)
    other = cassette.streamed("any", request, chunks)
    cassette.write(path, [slow, other])
    with replaying(mesh, path, "--speed", "0", "--provider", "made"):
        began = time.monotonic()
        first, second, third = (ask(mesh, "made/any", user=f"user-{i}") for i in range(3))
        assert time.monotonic() - began < 2
    assert (first.data, second.data, third.data) == (slow.answer, other.answer, other.answer)


def test_recorded_requests_are_asked_again_as_load_in_their_rhythm(mesh: RunningMesh, tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    began = datetime(2026, 1, 1, tzinfo=UTC)
    recordings = [
        replace(cassette.streamed("any", {"model": "any", "messages": HELLO}, []), at=began + timedelta(seconds=i / 10))
        for i in range(5)
    ]
    cassette.write(path, recordings)
    done = mesh.command("replay", str(path), "--as-load", "up/plain", "--repeat", "2", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["sent"], report["ok"], report["errors"], report["output_tokens"]) == (10, 10, {}, 40)
    assert 0.85 < report["seconds"] < 2
    assert 0 < report["first_token_ms"]["p50"] <= report["first_token_ms"]["p99"] <= report["total_ms"]["p99"]
    table = mesh.command("replay", str(path), "--as-load", "up/plain", "--rate", "100", "--concurrency", "2")
    assert "5 sent, 5 ok" in table.stdout and "first token  p50" in table.stdout


@pytest.mark.long
def test_a_worker_killed_in_mid_stream_leaves_an_incomplete_recording_that_is_never_an_answer(
    mesh: RunningMesh, tmp_path: Path
) -> None:
    path = tmp_path / "killed.jsonl"
    with recording(mesh, path, "--model", "up/slow-40"):
        with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0) as client:
            chunks = client.chat.completions.create(
                model="up/slow-40",
                messages=HELLO,  # type: ignore[arg-type]
                stream=True,
                max_tokens=500,
            )
            next(iter(chunks))
            mesh.kill9("inference")
            with pytest.raises(openai.APIError):
                list(chunks)
        mesh.until(lambda: written(path, 1))
    (kept,) = cassette.read(path).recordings
    assert kept.outcome is Outcome.INCOMPLETE
    assert b"w0 " in kept.answer and b"[DONE]" not in kept.answer
    mesh.until(mesh.all_ready)
    done = mesh.command("replay", str(path))
    assert done.returncode == 1
    assert "no recording that can be an answer" in done.stderr


def test_a_client_that_leaves_makes_no_complete_recording(mesh: RunningMesh, tmp_path: Path) -> None:
    path = tmp_path / "left.jsonl"
    with recording(mesh, path):
        with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0) as client:
            chunks = client.chat.completions.create(
                model="up/slow-40",
                messages=HELLO,  # type: ignore[arg-type]
                stream=True,
                max_tokens=500,
            )
            next(iter(chunks))
            chunks.close()
        ask(mesh, "up/plain")
        mesh.until(lambda: written(path, 1))
    left, complete = cassette.read(path).recordings
    assert (left.outcome, complete.outcome) == (Outcome.INCOMPLETE, Outcome.COMPLETE)
    assert left.note in ("recording was stopped", "no end came: its client left, or its worker died")


def test_a_provider_that_somebody_serves_is_not_taken_over(mesh: RunningMesh, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    cassette.write(path, [cassette.streamed("plain", {"model": "up/plain", "messages": HELLO}, [])])
    done = mesh.command("replay", str(path), "--provider", "up")
    assert done.returncode == 1
    assert "CARAVAN_INFERENCE_EXCLUDE=remote::openai-compatible" in done.stderr


def test_large_bodies_are_recorded_and_replayed(mesh: RunningMesh, tmp_path: Path) -> None:
    path, text = tmp_path / "large.jsonl", "x" * 600_000
    with recording(mesh, path):
        live = ask(mesh, "up/plain", metadata={"text": "ignored"}, messages=[{"role": "user", "content": text}])
        mesh.until(lambda: written(path, 1))
    (kept,) = cassette.read(path).recordings
    assert kept.request is not None and kept.request["messages"][0]["content"] == text, kept.note
    with replaying(mesh, path):
        again = ask(mesh, "replay/plain", messages=[{"role": "user", "content": text}])
    assert again.data == live.data


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("record", "{there}"), "exists"),
        (("replay", "{nothing}"), "cannot be read"),
        (("replay", "{there}"), "no file of recordings"),
        (("replay", "{there}", "--nats", "nats://127.0.0.1:9", "--nkey", "{nothing}"), "--nkey"),
        (("record", "{nothing}", "--scrub", "("), "no regular expression"),
    ],
)
def test_mistakes_are_told_in_one_line(
    mesh: RunningMesh, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    there = tmp_path / "there"
    there.write_text("something\n")
    names = {"there": str(there), "nothing": str(tmp_path / "nothing")}
    done = mesh.command(*(argument.format(**names) for argument in arguments))
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_recordings_stand_in_for_a_provider_that_no_worker_serves(upstream: PacedUpstream, tmp_path: Path) -> None:
    stack = f"""
providers:
  - {{id: up, type: remote::openai-compatible, config: {{base_url: "{upstream.url}"}}}}
models:
  - {{id: up/plain, provider: up, provider_model_id: plain, aliases: [nickname]}}
"""
    left_out = {"CARAVAN_INFERENCE_EXCLUDE": "remote::openai-compatible"}
    alone = RunningMesh(tmp_path, upstream, scale=CHATS, stack=stack, environment=left_out)
    path = tmp_path / "made.jsonl"
    made = cassette.streamed("plain", {"model": "up/plain", "messages": HELLO, "tools": TOOLS}, [])
    cassette.write(path, [made])
    alone.start()
    try:
        with replaying(alone, path, "--provider", "up"):
            assert ask(alone, "up/plain").data == ask(alone, "nickname").data == made.answer
        assert "up/plain" in alone.model_ids(), "the provider of the stack file stays"
    finally:
        alone.stop()
