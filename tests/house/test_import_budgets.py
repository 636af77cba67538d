"""What a service costs before its first request: CPU seconds to import it, measured in a fresh interpreter."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

BUDGETS = {
    "caravan_contracts.subjects": 0.8,
    "caravan_client": 0.4,
    "caravan_gateway.app": 1.5,
    "caravan_registry.app": 2.5,
    "caravan_agents.app": 2.5,
    "caravan_inference.app": 2.5,
}
"""CPU seconds, user and system. A module that needs something heavy for one request in a thousand imports it there."""


def cpu_seconds_to_import(module: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


@pytest.mark.parametrize(("module", "budget"), BUDGETS.items())
def test_import_stays_within_its_budget(module: str, budget: float) -> None:
    """The best of three: the first import may still have to compile, and a busy machine only ever adds."""
    best = min(cpu_seconds_to_import(module) for _ in range(3))
    assert best <= budget, f"import {module} took {best:.2f} CPU-s; see `python -X importtime -m {module}`"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("caravan_contracts", ("nats", "faststream", "fastapi", "aiohttp", "asyncpg")),
        (
            "caravan.client",
            (
                "openai",
                "httpx",
                "nats",
                "pydantic",
                "opentelemetry",
                "prometheus_client",
                "typer",
                "rich",
                "faststream",
            ),
        ),
        ("caravan_gateway.app", ("faststream", "openai", "opentelemetry.sdk", "asyncpg", "numpy")),
        ("caravan_inference.app", ("faststream", "openai", "opentelemetry.sdk", "fastapi", "xllamacpp", "onnxruntime")),
    ],
)
def test_heavy_packages_are_imported_only_where_they_are_used(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print(*[name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert loaded.stdout.split() == [], f"{module} imports them at start"
