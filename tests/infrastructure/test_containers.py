"""What Docker would be told; no Docker is needed here."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from caravan_contracts.permissions import SERVICES
from testcontainers.core.config import testcontainers_config

from tests.infrastructure import compose, engine
from tests.infrastructure.container import Container
from tests.infrastructure.containers import Containers
from tests.infrastructure.protocol import CannotRun
from tests.infrastructure.scripted_engine import ScriptedEngine

IMAGES = {"nats:2-alpine", "pgvector/pgvector:pg18", "valkey/valkey:8"}


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    monkeypatch.setattr(testcontainers_config, "hub_image_name_prefix", "")
    with ScriptedEngine(images=set(IMAGES)) as scripted:
        monkeypatch.setenv("DOCKER_HOST", scripted.url)
        monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
        yield scripted


async def told(docker: ScriptedEngine, spec: compose.ContainerSpec) -> tuple[dict[str, object], int]:
    """What the engine is asked for, and the port on this machine."""
    container = Container(spec)
    await container.start()
    await container.remove()
    return docker.created[-1], container.port


def published(port: int) -> list[dict[str, str]]:
    return [{"HostIp": "127.0.0.1", "HostPort": str(port)}]


async def test_nats_has_the_configuration_that_compose_mounts(docker: ScriptedEngine) -> None:
    body, port = await told(docker, compose.specs(Path("/s"))["nats"])
    assert body["Image"] == "nats:2-alpine"
    assert body["Cmd"] == ["-c", "/etc/caravan/nats.conf"]
    assert body["HostConfig"]["Binds"] == ["/s/nats:/etc/caravan:ro"]  # type: ignore[index]
    assert body["HostConfig"]["PortBindings"] == {"4222/tcp": published(port)}  # type: ignore[index]


async def test_postgres_has_pgvector_and_reads_its_password_from_a_file(docker: ScriptedEngine) -> None:
    body, port = await told(docker, compose.specs(Path("/s"))["postgres"])
    assert body["Image"] == "pgvector/pgvector:pg18"
    assert set(body["Env"]) == {  # type: ignore[call-overload]
        "POSTGRES_USER=caravan",
        "POSTGRES_DB=caravan",
        "POSTGRES_PASSWORD_FILE=/run/secrets/caravan/password",
    }
    assert body["HostConfig"]["Binds"] == ["/s/postgres:/run/secrets/caravan:ro"]  # type: ignore[index]
    assert body["HostConfig"]["PortBindings"] == {"5432/tcp": published(port)}  # type: ignore[index]
    assert body["HostConfig"]["ShmSize"] == 128 * 1024**2  # type: ignore[index]


async def test_valkey_has_the_configuration_with_the_password(docker: ScriptedEngine) -> None:
    body, port = await told(docker, compose.specs(Path("/s"))["valkey"])
    assert body["Image"] == "valkey/valkey:8"
    assert body["Cmd"] == ["valkey-server", "/etc/caravan/valkey.conf"]
    assert body["HostConfig"]["Binds"] == ["/s/valkey:/etc/caravan:ro"]  # type: ignore[index]
    assert body["HostConfig"]["PortBindings"] == {"6379/tcp": published(port)}  # type: ignore[index]


async def test_nats_without_users_has_no_configuration_of_ours(docker: ScriptedEngine) -> None:
    body, port = await told(docker, compose.open_nats())
    assert body["Image"] == "nats:2-alpine"
    assert body["Cmd"] == ["-a", "0.0.0.0", "-p", "4222"]
    assert not body["HostConfig"].get("Binds")  # type: ignore[attr-defined]
    assert body["HostConfig"]["PortBindings"] == {"4222/tcp": published(port)}  # type: ignore[index]


async def test_a_killed_container_is_started_again_and_not_made_anew(docker: ScriptedEngine) -> None:
    container = Container(compose.open_nats())
    await container.start()
    await container.kill()
    await container.kill()  # a dead one: nothing to do
    await container.start()
    await container.restart()
    await container.remove()
    await container.remove()
    assert docker.actions == ["start", "kill", "wait", "start", "restart", "remove"]
    assert len(docker.created) == 1


def test_images_that_are_missing_are_pulled_before_the_first_test(docker: ScriptedEngine) -> None:
    docker.images.remove("valkey/valkey:8")
    Containers().prepare()
    assert docker.actions == ["pull valkey/valkey:8"]


def test_an_image_that_cannot_be_had_is_named(docker: ScriptedEngine) -> None:
    docker.refused.add("stranger/image:1")
    with pytest.raises(CannotRun, match=r"Docker cannot pull stranger/image:1: .*pull access denied"):
        engine.require({"stranger/image:1"})


def test_mounted_folders_hold_what_compose_would_make(tmp_path: Path) -> None:
    compose.make_secrets(tmp_path)
    specs = compose.specs(tmp_path)
    mounted = {name: {p.name for p in Path(next(iter(spec.mounts))).iterdir()} for name, spec in specs.items()}
    assert mounted == {"nats": {"nats.conf"}, "postgres": {"password"}, "valkey": {"valkey.conf", "password"}}
    config = (tmp_path / "nats/nats.conf").read_text()
    assert 'listen: "0.0.0.0:4222"' in config
    for user in SERVICES:
        assert f"# {user}\n" in config
        assert stat.S_IMODE((tmp_path / f"keyring/{user}.nk").stat().st_mode) == 0o600
    for spec in specs.values():  # servers run as users of their own
        folder = Path(next(iter(spec.mounts)))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert all(stat.S_IMODE(file.stat().st_mode) & 0o044 == 0o044 for file in folder.iterdir())


def test_every_server_of_compose_is_among_them() -> None:
    services = yaml.safe_load((compose.ROOT / "docker-compose.yml").read_text())["services"]
    specs = compose.specs(Path("/s"))
    assert {name: spec.image for name, spec in specs.items()} == {name: services[name]["image"] for name in specs}
    assert specs.keys() == {"nats", "postgres", "valkey"}
