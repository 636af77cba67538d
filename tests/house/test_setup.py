"""Which interpreter `make setup` takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).parents[2] / "scripts" / "setup.sh").read_text()
FUNCTIONS = SCRIPT[SCRIPT.index("supported() {") : SCRIPT.index("fingerprint() {")]


def found(folder: Path, asked: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-c", f"set -euo pipefail\n{FUNCTIONS}\nfind_python"],
        capture_output=True,
        text=True,
        env={"PATH": str(folder), "PYTHON": asked},
        check=False,
    )


def put(folder: Path, name: str, *, supported: bool = True, optimised: bool = True, ensurepip: bool = True) -> str:
    """An interpreter that only answers what the script asks of it."""
    path = folder / name
    says = {"enable-optimizations": optimised, "ensurepip": ensurepip, "version_info": supported}
    tests = "".join(f"if [[ $2 == *{word}* ]]; then exit {0 if yes else 1}; fi\n" for word, yes in says.items())
    path.write_text(f"#!/bin/bash\n{tests}exit 2\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_the_newest_that_was_built_with_optimisations_is_taken(folder: Path) -> None:
    put(folder, "python3.13", optimised=False)
    best = put(folder, "python3.12")
    put(folder, "python3.11")
    assert found(folder).stdout.strip() == best


def test_one_that_cannot_make_environments_is_passed_over(folder: Path) -> None:
    put(folder, "python3.12", ensurepip=False)
    able = put(folder, "python3.11", optimised=False)
    assert found(folder).stdout.strip() == able


def test_without_one_the_newest_is_taken_and_it_says_so(folder: Path) -> None:
    put(folder, "python3.13", supported=False)
    plain = put(folder, "python3.12", optimised=False)
    put(folder, "python3", optimised=False)
    got = found(folder)
    assert got.stdout.strip() == plain
    assert re.search(r"without --enable-optimizations.*10 to 20 % more CPU", got.stderr, re.DOTALL)


def test_what_was_asked_for_is_taken_as_it_is(folder: Path) -> None:
    put(folder, "python3.12")
    asked = put(folder, "python3.11", optimised=False)
    assert found(folder, "python3.11").stdout.strip() == asked
    assert found(folder, asked).stdout.strip() == asked


def test_with_none_at_all_it_says_what_to_do(folder: Path) -> None:
    got = found(folder)
    assert got.returncode != 0 and not got.stdout.strip()
    assert "apt-get install python3 python3-venv" in got.stderr
