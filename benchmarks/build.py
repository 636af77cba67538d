"""Compiles the two C programs: what makes the load and what answers it must cost less than what is measured."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError

HERE = Path(__file__).parent
BUILD = HERE / "build"
FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Programs:
    loadgen: Path
    upstream: Path


def build() -> Programs:
    """Compile what is older than its source.

    Raises:
        BenchmarkError: there is no C compiler, or it refused.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise BenchmarkError(
            "no C compiler: the load generator is written in C so that it is not what is measured. "
            "Install one (Debian, Ubuntu: apt-get install gcc libc6-dev) and run again."
        )
    return Programs(_compiled(compiler, "loadgen"), _compiled(compiler, "upstream"))


def _compiled(compiler: str, name: str) -> Path:
    program = BUILD / name
    sources = sorted((HERE / name).glob("*.c"))
    read = [*sources, *(HERE / name).glob("*.h"), HERE / "clock.h"]
    if program.exists() and program.stat().st_mtime > max(path.stat().st_mtime for path in read):
        return program
    BUILD.mkdir(exist_ok=True)
    done = subprocess.run(
        [compiler, *FLAGS, "-o", str(program), *map(str, sources)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode:
        raise BenchmarkError(f"{name} does not compile:\n{done.stderr}")
    return program
