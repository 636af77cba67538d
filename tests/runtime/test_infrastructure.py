"""Start, stop, start again: what stays, what is private, what comes back."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio as redis

from caravan.runtime import AlreadyRunning, Infrastructure
from caravan.runtime import state as states
from tests.runtime.waiting import eventually, processes_of


async def test_data_and_ports_survive_a_restart(tmp_path: Path) -> None:
    async with Infrastructure(tmp_path) as first:
        ports = first.ports.given
        connection = await asyncpg.connect(first.database_url)
        await connection.execute("CREATE TABLE kept (word text)")
        await connection.execute("INSERT INTO kept VALUES ('camel')")
        await connection.close()
        async with redis.from_url(first.redis_url) as client:
            await client.set("kept", "camel")
    assert processes_of(tmp_path) == []

    async with Infrastructure(tmp_path) as second:
        assert second.ports.given == ports
        connection = await asyncpg.connect(second.database_url)
        assert await connection.fetchval("SELECT word FROM kept") == "camel"
        await connection.close()
        async with redis.from_url(second.redis_url, decode_responses=True) as client:
            assert await client.get("kept") == "camel"


def zombie() -> tuple[int, Callable[[], object]]:
    """A process that has ended and is not buried, and how to bury it."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child.pid, child.wait


async def test_a_dead_server_that_nobody_buried_is_no_obstacle(tmp_path: Path) -> None:
    async with Infrastructure(tmp_path) as first:
        claim = first.data.postgres / "data" / "postmaster.pid"
        written = claim.read_text().split("\n")
    child, bury = zombie()
    claim.write_text("\n".join([str(child), *written[1:]]))
    try:
        async with Infrastructure(tmp_path) as second:
            connection = await asyncpg.connect(second.database_url)
            await connection.close()
    finally:
        bury()


async def test_pgvector_is_there(infra: Infrastructure) -> None:
    connection = await asyncpg.connect(infra.database_url)
    await connection.execute("CREATE EXTENSION vector")
    assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,2]'::vector") == 0
    await connection.close()


async def test_secrets_are_private_and_on_no_command_line(infra: Infrastructure) -> None:
    secret_files = [infra.data.secrets, infra.database_url_file, infra.redis_url_file, infra.seed_file("gateway")]
    for path in [*secret_files, infra.data.nats_config, infra.data.valkey / "valkey.conf"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(infra.data.root.stat().st_mode) == 0o700

    secrets = [path.read_text().strip() for path in secret_files[1:]]
    passwords = [secret.rpartition("@")[0].rpartition(":")[2] for secret in secrets[:2]]
    texts = [command_line(child.pid) for child in infra.children.values()]
    texts += [log.read_text() for log in infra.data.logs.glob("*.log")]
    texts += [infra.data.state.read_text(), infra.data.nats_config.read_text()]
    for secret in (*passwords, secrets[2]):
        assert len(secret) > 20
        assert not any(secret in text for text in texts)


async def test_the_second_launcher_on_a_folder_is_refused(infra: Infrastructure) -> None:
    with pytest.raises(AlreadyRunning, match="--data-dir"):
        async with Infrastructure(infra.data.root):
            pass
    assert infra.pid("nats")


async def test_two_instances_run_beside_each_other(infra: Infrastructure, tmp_path: Path) -> None:
    async with Infrastructure(tmp_path / "other") as other:
        assert not set(infra.ports.given.values()) & set(other.ports.given.values())
        assert infra.seed_file("gateway").read_text() != other.seed_file("gateway").read_text()


@pytest.mark.parametrize("name", ["nats", "postgres", "valkey"])
async def test_a_crashed_server_comes_back_on_its_port(infra: Infrastructure, name: str) -> None:
    before = infra.pid(name)
    assert before
    ports = infra.ports.given
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: infra.children[name].restarts == 1 and infra.children[name].phase == "ready", 20)
    assert infra.pid(name) != before
    assert infra.ports.given == ports
    await infra.children[name].part.ping()
    recorded = states.running(infra.data)
    assert recorded
    assert recorded.child(name).restarts == 1  # type: ignore[union-attr]


async def test_a_killed_server_stays_dead_until_it_is_restarted(infra: Infrastructure) -> None:
    port = infra.nats_url
    await infra.kill("nats")
    assert infra.pid("nats") is None
    await infra.restart("nats")
    assert infra.nats_url == port
    await infra.children["nats"].part.ping()


def command_line(pid: int | None) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
