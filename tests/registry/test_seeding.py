"""The stack file's resources in the registry."""

from __future__ import annotations

import asyncio

import pytest
from caravan_contracts.context import Principal
from caravan_contracts.errors import Conflict
from caravan_contracts.registry import ResourceKind, Source
from caravan_registry.stack import StackError

from tests.registry.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

STACK = """
providers:
  - {id: a, type: remote::openai, config: {api_key: "${env.KEY}"}}
  - {id: b, type: remote::ollama}
models:
  - {id: house, provider: a, provider_model_id: gpt, aliases: [fast]}
"""


async def test_a_registry_begins_with_its_stack(bench: Bench) -> None:
    await bench.seeded(STACK)
    revision, rows = await bench.snapshot()
    assert revision == 1
    assert list(rows) == ["default/model/house", "default/provider/a", "default/provider/b"]
    assert {row.source for row in rows.values()} == {Source.STACK}
    assert rows["default/provider/a"].provider.config == {"api_key": "${env.KEY}"}


async def test_starting_again_changes_nothing_and_keeps_what_workers_said(bench: Bench) -> None:
    first = await bench.seeded(STACK)
    await bench.report("b", "m")
    before = await bench.snapshot()
    await first.stop()
    await bench.seeded(STACK)
    assert await bench.snapshot() == before


async def test_several_replicas_may_start_at_once(bench: Bench) -> None:
    await asyncio.gather(*(bench.seeded(STACK) for _ in range(4)))
    assert (await bench.snapshot())[0] == 1


async def test_a_new_file_replaces_the_old_one_and_leaves_what_was_put_at_run_time(bench: Bench) -> None:
    first = await bench.seeded(STACK)
    await bench.put_provider("mine")
    await bench.put_provider("a", base_url="http://changed")
    await bench.report("b", "m")
    await first.stop()
    await bench.seeded("""
providers:
  - {id: a, type: remote::openai}
  - {id: c, type: remote::vllm}
""")
    _, rows = await bench.snapshot()
    assert list(rows) == ["default/provider/a", "default/provider/c", "default/provider/mine"]
    assert rows["default/provider/a"].provider.config == {"base_url": "http://changed"}


async def test_what_stands_in_the_file_is_taken_out_there(bench: Bench) -> None:
    await bench.seeded(STACK)
    with pytest.raises(Conflict, match="stack file"):
        await bench.delete(ResourceKind.PROVIDER, "a")
    with pytest.raises(Conflict, match="stack file"):
        await bench.delete(ResourceKind.MODEL, "house")


async def test_a_provider_id_that_a_tenant_has_is_left_to_it(bench: Bench) -> None:
    first = await bench.seeded()
    await bench.put_provider("a", Principal("acme", "bob", ("admin",)))
    await first.stop()
    await bench.seeded(STACK)
    assert list((await bench.snapshot())[1]) == ["acme/provider/a", "default/provider/b"]


async def test_a_file_with_mistakes_keeps_the_registry_from_starting(bench: Bench) -> None:
    registry = await bench.registry("providers: [{id: a}]", wait=False)
    with pytest.raises(StackError, match=r"caravan\.yaml:1: a provider needs a type"):
        await asyncio.wait_for(registry.task, 30)
    bench.registries.clear()
