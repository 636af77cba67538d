"""What a service costs before its first request: how much it imports, counted in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUDGETS = {
    "caravan_contracts.subjects": 100,
    "caravan_client": 300,
    "caravan_gateway.app": 880,
    "caravan_registry.app": 1000,
    "caravan_agents.app": 1750,
    "caravan_inference.app": 600,
}
"""Modules. One that needs something heavy for one request in a thousand imports it there."""


@pytest.mark.parametrize(("module", "budget"), BUDGETS.items())
def test_import_stays_within_its_budget(module: str, budget: int) -> None:
    code = f"import {module}, sys; print(len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=110, capture_output=True, text=True)
    loaded = int(done.stdout)
    assert loaded <= budget, f"import {module} loads {loaded} modules; see `python -X importtime -m {module}`"


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
        ("caravan_agents.app", ("mcp", "mcp_types", "jsonschema", "fastapi")),
        ("caravan_agents.tools.mcp", ("mcp", "mcp_types", "jsonschema", "yaml")),
        ("caravan_inference.app", ("faststream", "openai", "opentelemetry.sdk", "fastapi", "xllamacpp", "onnxruntime")),
    ],
)
def test_heavy_packages_are_imported_only_where_they_are_used(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print(*[name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, timeout=110, capture_output=True, text=True)
    assert loaded.stdout.split() == [], f"{module} imports them at start"
