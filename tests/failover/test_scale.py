"""The sixteen with three gateways and three workers, again and again, and with the times they have in earnest."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.failover.conftest import checked, problems
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def wide(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("wide"), upstream, scale="gateway=3,inference=3")
    made.start()
    yield made
    made.stop()


def told(mesh: RunningMesh, *options: str, timeout: float) -> dict[str, list[str]]:
    report = checked(mesh, *options, timeout=timeout)
    return {name: found for name, case in report.items() if (found := problems(case))}


def test_three_gateways_and_three_workers_act_as_one(wide: RunningMesh) -> None:
    for _ in range(3):
        assert told(wide, timeout=90) == {}


def test_an_outage_of_a_minute_and_a_token_after_twenty_seconds(wide: RunningMesh) -> None:
    assert told(wide, "--real", timeout=300) == {}


def test_a_route_is_known_to_every_gateway_within_two_seconds(wide: RunningMesh) -> None:
    ports = [wide.state["ports"][f"ops-gateway-{number}"] for number in (1, 2, 3)]

    def revisions() -> set[str]:
        pages = (httpx.get(f"http://127.0.0.1:{port}/metrics").text for port in ports)
        return {next(line for line in page.splitlines() if line.startswith("caravan_registry_rev")) for page in pages}

    before = revisions()
    with httpx.Client(base_url=wide.url) as http:
        assert http.put("/v1/routes/agreed", json={"targets": ["up/plain"]}).status_code == 200
        wide.until(lambda: len(revisions()) == 1 and revisions() != before, 2.0)
    for _ in range(12):  # a connection each: the gateways share the port
        assert "agreed" in wide.model_ids()
    assert wide.command("routes", "rm", "agreed").returncode == 0
    wide.until(lambda: wide.get("/v1/routes")["data"] == [], 2.0)


def test_nothing_stays_behind(wide: RunningMesh) -> None:
    assert wide.get("/v1/routes")["data"] == []
