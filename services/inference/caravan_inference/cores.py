"""How many threads a model engine in this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cores() -> int:
    """Cores this process may run on: its affinity, and no more than its container's CPU limit."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limit = _container_limit()
    return max(1, min(cores, int(limit))) if limit is not None else cores


def engine_threads() -> int:
    """The default: one core stays free.

    Engines wait for each other's threads by spinning; with as many threads as cores, any other busy process makes
    them slower than a single thread by a factor of ten and more.
    """
    return max(1, usable_cores() - 1)


def _container_limit() -> float | None:
    try:
        if _CGROUP2.exists():
            quota, period = _CGROUP2.read_text().split()
            return None if quota == "max" else float(quota) / float(period)
        quota, period = _CGROUP1_QUOTA.read_text(), _CGROUP1_PERIOD.read_text()
        return None if float(quota) <= 0 else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
