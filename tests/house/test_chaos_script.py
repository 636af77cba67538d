"""Both steps of `make chaos` run, and one that failed is not overlooked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "chaos.sh"
PYTHON = """#!/bin/bash
case "$*" in *"-n 3"*) step=long code=$LONG ;; *) step=chaos code=$CHAOS ;; esac
echo "asked:" "$@"
echo "=== short test summary info ==="
echo "=== $step ended with $code ==="
exit "$code"
"""


def ran(folder: Path, chaos: int, long: int, *given: str) -> subprocess.CompletedProcess[str]:
    """With a Python of which pytest ends as is said, for the arguments `given`."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    (folder / "scripts").mkdir()
    environment = {**os.environ, "PYTEST_WORKERS": "3", "CHAOS": str(chaos), "LONG": str(long)}
    script = shutil.copy(SCRIPT, folder / "scripts")
    return subprocess.run([script, *given], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    ("chaos", "long", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (0, 5, 0), (5, 0, 0), (5, 1, 1), (5, 5, 5)]
)
def test_it_fails_when_one_step_does_or_both_found_nothing(tmp_path: Path, chaos: int, long: int, code: int) -> None:
    done = ran(tmp_path, chaos, long, "-k", "a or b")
    assert done.returncode == code, done.stderr
    asked = [line for line in done.stdout.splitlines() if line.startswith("asked:")]
    assert asked == [
        "asked: -m pytest -m chaos -k a or b",
        "asked: -m pytest -n 3 --dist loadscope -m long and not chaos -k a or b",
    ]


@pytest.mark.parametrize(("chaos", "long"), [(0, 5), (5, 0), (5, 5)])
def test_nothing_to_run_is_a_failure_when_all_was_asked_for(tmp_path: Path, chaos: int, long: int) -> None:
    assert ran(tmp_path, chaos, long).returncode != 0


def test_both_summaries_come_last(tmp_path: Path) -> None:
    heading = "=== short test summary info ==="
    assert ran(tmp_path, 1, 0).stdout.splitlines()[-6:] == [
        "==> chaos",
        heading,
        "=== chaos ended with 1 ===",
        "==> long",
        heading,
        "=== long ended with 0 ===",
    ]
