"""What a benchmark run ends with when it cannot go on."""

from __future__ import annotations


class BenchmarkError(Exception):
    """Said to the user as it stands; the exit status is 1."""
