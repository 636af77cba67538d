"""Where the client finds the bus, and who it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from caravan_client.address import find

from caravan.client import Address, CaravanClientError
from caravan.runtime import bus_users
from caravan.runtime.paths import DataDir

VARIABLES = ("NATS_URL", "NATS_USER", "NATS_TENANT", "NATS_NKEY_SEED", "NATS_NKEY_SEED_FILE", "CARAVAN_DATA_DIR")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a `caravan up` that has just started for the first time."""
    made = DataDir.at(tmp_path / "data")
    made.make()
    made.state.write_text(json.dumps({"urls": {"nats": "nats://127.0.0.1:26374"}}))
    bus_users.make_local(made.bus)
    return made.root


def seed(data: Path, name: str) -> str:
    return (data / "bus" / f"{name}.nk").read_text().strip()


def test_arguments_are_enough() -> None:
    assert find("nats://n", "me", "acme", "SU1") == Address("nats://n", "me", "acme", "SU1")
    assert "SU1" not in repr(find("nats://n", "me", "acme", "SU1"))


def test_the_environment_is_that_of_every_service(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    bus_users.add(data / "bus", "reports", "acme")
    monkeypatch.setenv("NATS_URL", "nats://mesh:4222")
    monkeypatch.setenv("NATS_NKEY_SEED_FILE", str(data / "bus/reports.nk"))
    assert find() == Address("nats://mesh:4222", "reports", "acme", seed(data, "reports"))
    monkeypatch.setenv("NATS_NKEY_SEED", "SU2")
    monkeypatch.setenv("NATS_USER", "other")
    monkeypatch.setenv("NATS_TENANT", "blue")
    assert find() == Address("nats://mesh:4222", "other", "blue", "SU2")


def test_on_the_machine_of_a_mesh_nothing_has_to_be_said(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("CARAVAN_DATA_DIR", str(data))
    assert find() == Address("nats://127.0.0.1:26374", "local", "default", seed(data, "local"))
    bus_users.add(data / "bus", "reports", "acme")
    assert find().user == "local"
    assert find(user="reports") == Address("nats://127.0.0.1:26374", "reports", "acme", seed(data, "reports"))


def test_a_folder_that_is_named_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("NATS_URL", "nats://mesh:4222")
    monkeypatch.setenv("NATS_USER", "other")
    assert find(data_dir=data).url == "nats://127.0.0.1:26374"
    assert find(data_dir=data).user == "local"


def test_a_user_that_was_removed_stays_away(data: Path) -> None:
    bus_users.remove(data / "bus", "local")
    bus_users.make_local(data / "bus")
    with pytest.raises(CaravanClientError, match="caravan bus user add"):
        find(data_dir=data)
    bus_users.add(data / "bus", "reports", "acme")
    assert find(data_dir=data).user == "reports", "the only one there is"
    bus_users.add(data / "bus", "audit", "acme")
    with pytest.raises(CaravanClientError, match="audit, reports"):
        find(data_dir=data)


def test_what_is_missing_is_said(tmp_path: Path, data: Path) -> None:
    with pytest.raises(CaravanClientError, match="NATS_URL"):
        find()
    with pytest.raises(CaravanClientError, match="NATS_URL"):
        find(data_dir=tmp_path)
    with pytest.raises(CaravanClientError, match="NATS_USER"):
        find("nats://n", seed="SU1")
    with pytest.raises(CaravanClientError, match="cannot be read"):
        find("nats://n", seed_file=tmp_path / "none.nk")
    with pytest.raises(CaravanClientError, match="no name of a bus user"):
        find("nats://n", user="a.b", seed="SU1")
    with pytest.raises(CaravanClientError, match="cannot be read"):
        find(user="nobody", data_dir=data)
