"""A response that was compacted goes on from its summary when its worker dies; nobody summarises again."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]

ITEMS: Any = [
    {"role": "user", "content": "look for words"},
    {"type": "function_call", "call_id": "c1", "name": "search", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "many words " * 500},
]


@pytest.mark.parametrize("background", [False, True])
def test_a_compacted_run_outlives_its_worker(
    mesh: RunningMesh, upstream: ScriptedUpstream, gateways: list[httpx.Client], background: bool
) -> None:
    before = len(upstream.requests)
    body = {
        "model": "up/slow-50",
        "input": ITEMS,
        "context_management": [{"type": "compaction", "compact_threshold": 500}],
        "max_output_tokens": 60,
        "stream": True,
        "background": background,
    }
    with gateways[0].stream("POST", "/v1/responses", json=body, timeout=60) as answer:
        pieces = answer.iter_bytes()
        seen = next(pieces)
        while b"output_text.delta" not in seen:
            seen += next(pieces)
        mesh.until(lambda: max(mesh.slots_used("agents").values()) > 0 or background)
        held = [
            child["name"]
            for child in mesh.state["children"]
            if child["name"].startswith("agents") and mesh.metric(child["name"], "caravan_runs_held") > 0
        ]
        mesh.kill9(held[0] if held else mesh.busiest("agents"))
        seen += b"".join(pieces)
    machine = follow(seen)
    assert machine.terminal is not None and machine.terminal["status"] == "completed", machine.terminal
    assert [item["type"] for item in machine.terminal["output"]] == ["compaction", "message"]
    words = "".join(f"w{number} " for number in range(60))
    assert machine.terminal["output"][1]["content"][0]["text"] == words
    summaries = [one for one in upstream.requests[before:] if "transcript" in str(one.body["messages"][-1]["content"])]
    assert len(summaries) == 1
    mesh.until(mesh.all_ready)
