"""A mesh of real processes in front of the scripted upstream, and both clients on it: ours and the official one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest
from openai import AsyncOpenAI

from caravan.client import Caravan
from tests.client.plain import Plain
from tests.mesh.running import RESPONSES, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

SMALL = {"CARAVAN_DRAIN_SECONDS": "5", "CARAVAN_AGENTS_RESPONSES_AT_ONCE": "24"}


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(
        tmp_path_factory.mktemp("client"), upstream, scale=f"inference=2,agents=2,{RESPONSES}", environment=SMALL
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def data(mesh: RunningMesh) -> Path:
    return mesh.folder / "data"


@pytest.fixture
async def bus(data: Path) -> AsyncIterator[Caravan]:
    async with Caravan.connect(data_dir=data, max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def stranger(mesh: RunningMesh, data: Path) -> AsyncIterator[Caravan]:
    """Of another tenant."""
    if not (data / "bus" / "stranger.nk").is_file():
        assert mesh.command("bus", "user", "add", "stranger", "--tenant", "other").returncode == 0
    async with Caravan.connect(data_dir=data, user="stranger", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def http(mesh: RunningMesh) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def plain_users(mesh: RunningMesh, data: Path) -> AsyncIterator[dict[str, Plain]]:
    made = {}
    for name, tenant in (("plain", "default"), ("outsider", "other")):
        seed = data / "bus" / f"{name}.nk"
        if not seed.is_file():
            assert mesh.command("bus", "user", "add", name, "--tenant", tenant).returncode == 0
        url, prefix = mesh.state["urls"]["nats"], f"_INBOX.{name}".encode()

        async def refused(error: Exception) -> None:
            """The server's word on a subject that is not ours."""

        client = await nats.connect(url, nkeys_seed=str(seed), inbox_prefix=prefix, error_cb=refused)
        made[name] = Plain(client, name, tenant)
    yield made
    for user in made.values():
        await user.client.close()
