"""Who may say and hear what on the embedded bus."""

from __future__ import annotations

import stat
from pathlib import Path

import nats
import pytest
from caravan_contracts import subjects
from nats.aio.client import Client

from caravan.errors import StartError
from caravan.runtime import Infrastructure, bus_users, keyring, keys, reload
from caravan.runtime.nats import ping
from caravan.runtime.nats_config import NatsOptions
from tests.runtime.waiting import eventually


async def connect(infra: Infrastructure, user: str, errors: list[Exception] | None = None) -> Client:
    async def note(error: Exception) -> None:
        if errors is not None:
            errors.append(error)

    return await nats.connect(
        infra.nats_url,
        nkeys_seed=str(infra.seed_file(user)),
        inbox_prefix=f"_INBOX.{user}".encode(),
        allow_reconnect=False,
        connect_timeout=2,
        error_cb=note,
    )


def violations(errors: list[Exception]) -> int:
    return sum("permissions violation" in str(error).lower() for error in errors)


async def is_refused(errors: list[Exception]) -> None:
    await eventually(lambda: violations(errors))
    errors.clear()


async def settled(client: Client) -> None:
    """The server has seen all that was said: nats-py's first PING may overtake it, a second one cannot."""
    await client.flush()
    await client.flush()


async def is_allowed(client: Client, errors: list[Exception]) -> None:
    await settled(client)
    assert not errors


async def test_nobody_gets_in_without_a_key_the_server_knows(infra: Infrastructure) -> None:
    with pytest.raises(PermissionError, match="Authorization"):
        await ping(infra.ports.given["nats"], keys.new_seed())


async def test_a_service_reaches_another_and_only_as_far_as_the_contracts_say(infra: Infrastructure) -> None:
    errors: list[Exception] = []
    gateway, registry = await connect(infra, "gateway", errors), await connect(infra, "registry")

    async def answer(message: nats.aio.msg.Msg) -> None:
        await message.respond(b"yes")

    snapshot = subjects.request("registry", "snapshot")
    await registry.subscribe(snapshot, queue="registry", cb=answer)
    await settled(registry)
    assert (await gateway.request(snapshot, b"{}", timeout=5)).data == b"yes"
    await is_allowed(gateway, errors)

    await gateway.publish(subjects.REGISTRY_CHANGED, b"{}")
    await is_refused(errors)
    await gateway.subscribe("_INBOX.registry.>")
    await is_refused(errors)
    await gateway.close()
    await registry.close()


async def test_a_foreign_user_joins_a_live_server_and_leaves_it(infra: Infrastructure) -> None:
    gateway = await connect(infra, "gateway")
    seed_file = await infra.add_bus_user("reporter", "acme")
    seed = seed_file.read_text().strip()
    assert stat.S_IMODE(seed_file.stat().st_mode) == 0o600
    errors: list[Exception] = []
    reporter = await connect(infra, "reporter", errors)
    await reporter.publish(subjects.entry("inference", "chat", "acme", "reporter"), b"{}")
    await is_allowed(reporter, errors)
    await reporter.publish(subjects.entry("inference", "chat", "acme", "somebody"), b"{}")
    await is_refused(errors)
    await reporter.publish(subjects.request("inference", "chat"), b"{}")
    await is_refused(errors)

    bus_users.remove(infra.data.bus, "reporter")
    assert await reload.users(infra.data)
    with pytest.raises(PermissionError, match="Authorization"):
        await ping(infra.ports.given["nats"], seed)
    assert not seed_file.exists()
    assert gateway.is_connected  # the reload disturbed nobody
    await reporter.close()
    await gateway.close()


async def test_a_foreign_user_survives_a_restart_of_the_server(infra: Infrastructure) -> None:
    await infra.add_bus_user("reporter")
    await infra.restart("nats")
    client = await connect(infra, "reporter")
    await client.close()


@pytest.mark.parametrize("name", ["gateway", "operator", "Upper", "a.b", "*", ""])
def test_names_of_services_and_names_that_are_no_subject_token_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartError, match="bus user"):
        bus_users.add(tmp_path, name)


def test_a_keyring_for_containers_keeps_its_seeds_and_shows_none_in_the_configuration(tmp_path: Path) -> None:
    options = NatsOptions("0.0.0.0:4222", "0.0.0.0:8222", "/data/jetstream")
    keyring.fill(tmp_path, options)
    seeds = {path.name: path.read_text().strip() for path in tmp_path.glob("*.nk")}
    bus_users.add(tmp_path, "reporter")
    config = keyring.fill(tmp_path, options).read_text()
    assert "# reporter" in config
    for name, seed in seeds.items():
        assert (tmp_path / name).read_text().strip() == seed
        assert seed not in config


async def test_the_servers_monitor_is_asked_past_any_proxy(
    infra: Infrastructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    bus_users.add(infra.data.bus, "behind-a-proxy")
    assert await reload.users(infra.data)
