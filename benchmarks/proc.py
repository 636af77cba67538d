"""CPU time and memory of processes, read from /proc (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    parent: int
    cpu: float
    """Seconds, user and system, all threads."""
    rss: int
    """Bytes; pages shared between processes count in each."""


def usage(pid: int) -> Usage:
    """Raises FileNotFoundError or ProcessLookupError when there is no such process (any more)."""
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Usage(int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE)


def tree(root: int) -> dict[int, Usage]:
    """The process and all that descend from it."""
    found = dict(_everything())
    return {pid: it for pid, it in found.items() if _descends(pid, root, found)}


def busy() -> float:
    """CPU-seconds the whole machine has worked, for whomever."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _everything() -> Iterator[tuple[int, Usage]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), usage(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked


def _descends(pid: int, root: int, found: dict[int, Usage]) -> bool:
    while pid in found:
        if pid == root:
            return True
        pid = found[pid].parent
    return False
