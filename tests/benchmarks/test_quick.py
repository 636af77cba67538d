"""``make bench ARGS=--quick``: the benchmark itself works; its figures are not looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("cc") and not shutil.which("gcc"), reason="needs a C compiler")
def test_quick_run_measures_plain_and_streamed_chat_beside_the_upstream() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "chat_c32", "--only", "paced_c100"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    saved = Path(done.stderr.strip().rpartition("written to ")[2])
    pairs = json.loads(saved.read_text())["pairs"]
    saved.unlink()
    assert [pair["scenario"] for pair in pairs] == ["chat_c32", "paced_c100"]
    plain, paced = pairs
    assert plain["mesh"]["load"]["ok"] > 0 and plain["direct"]["load"]["ok"] > 0
    assert paced["mesh"]["load"]["tokens"] > 0 and paced["mesh"]["load"]["first_token"]["n"] > 0
    assert all(pair["mesh"]["load"]["errors"] == 0 for pair in pairs)
    assert {"gateway", "nats", "worker"} <= plain["mesh"]["cost"]["cpu"].keys()
    assert "| plain, C = 32 | 1k requests |" in done.stdout
