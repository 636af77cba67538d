"""A mesh with two tenants, and who asks there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

ADA, EVE, BOB, ROOT, BOSS = "key-ada", "key-eve", "key-bob", "key-root", "key-boss"
KEYS = f"""
{ADA}    acme   ada   user
{EVE}    acme   eve   user
{BOB}    other  bob   user
{ROOT}   default root admin
{BOSS}   acme   boss  admin
"""


@contextmanager
def two_tenants(
    folder: Path, upstream: ScriptedUpstream, scale: str, stack: str = "", **more: str
) -> Iterator[RunningMesh]:
    """Every process of it is ready; `more` is its environment."""
    keys = folder / "keys"
    keys.write_text(KEYS)
    environment = {"CARAVAN_GATEWAY_API_KEYS_FILE": str(keys), **more}
    made = RunningMesh(folder, upstream, scale=scale, key=ROOT, stack=stack, environment=environment)
    made.start()
    try:
        made.until(made.all_ready)
        yield made
    finally:
        made.stop()


def connect(mesh: RunningMesh, key: str = ADA, retries: int = 0) -> OpenAI:
    """The SDK of one of them, on a connection of its own."""
    return OpenAI(base_url=f"{mesh.url}/v1", api_key=key, max_retries=retries, timeout=30)
