"""Models that workers find at their providers."""

from __future__ import annotations

import time

import pytest
from caravan_contracts.errors import NotFound
from caravan_contracts.registry import ResourceKind, Source

from tests.registry.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = ResourceKind.MODEL


async def ids(bench: Bench) -> list[str]:
    _, rows = await bench.snapshot()
    return [row.id for row in rows.values() if row.kind is MODEL and not row.model.disabled]


async def test_models_come_and_go_with_the_reports(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.report("p", "a", "b")
    _, rows = await bench.snapshot()
    found = rows["default/model/p/a"]
    assert (found.source, found.model.provider_id, found.model.provider_resource_id) == (Source.DISCOVERED, "p", "a")
    assert found.model.metadata == {"context_length": 10}
    assert rows["default/provider/p"].provider.status == "ok"
    await bench.report("p", "b", "c")
    assert await ids(bench) == ["p/b", "p/c"]


async def test_an_equal_report_changes_nothing(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    revision = await bench.report("p", "a", "b")
    assert await bench.report("p", "b", "a") == revision
    assert len(bench.facts) == revision


async def test_an_error_keeps_the_models_and_tells_the_status(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.report("p", "a")
    await bench.report("p", status="error", message="connection\nrefused")
    _, rows = await bench.snapshot()
    assert await ids(bench) == ["p/a"]
    spec = rows["default/provider/p"].provider
    assert (spec.status, spec.status_message) == ("error", "connection refused")
    await bench.put_provider("p", base_url="http://elsewhere")
    _, rows = await bench.snapshot()
    assert rows["default/provider/p"].provider.status == "unknown"


async def test_a_deleted_model_stays_away_until_it_is_registered_again(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.report("p", "a", "b")
    await bench.delete(MODEL, "p/a")
    with pytest.raises(NotFound):
        await bench.delete(MODEL, "p/a")
    await bench.report("p", "a", "b")
    assert await ids(bench) == ["p/b"]
    await bench.report("p")
    await bench.report("p", "a")
    assert await ids(bench) == []
    await bench.put_model("p/a")
    await bench.report("p")
    assert await ids(bench) == ["p/a"]


async def test_a_registered_model_is_not_overwritten(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.put_model("p/a", aliases=["fast"], metadata={"context_length": 77})
    await bench.report("p", "a")
    _, rows = await bench.snapshot()
    assert rows["default/model/p/a"].model.aliases == ["fast"]
    assert rows["default/model/p/a"].source is Source.API


async def test_a_report_about_a_provider_that_is_gone_is_refused(bench: Bench) -> None:
    await bench.registry()
    with pytest.raises(NotFound, match="any more"):
        await bench.report("gone", "a")


async def test_models_that_cannot_be_kept_are_left_out_alone(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.report("p", "good", "x" * 300, "bad\nname", "")
    assert await ids(bench) == ["p/good"]


async def test_a_provider_with_very_many_models_is_taken_in_good_time(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    names = [f"family/model-{n:05}-instruct" for n in range(3000)]
    started = time.monotonic()
    await bench.report("p", *names)
    assert time.monotonic() - started < 8
    assert len(await ids(bench)) == 3000
    view = await bench.view()
    assert len(view.catalog.models()) == 3000
