"""The agents service beside a PostgreSQL that dies, and with bounds of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts import conversations as c
from caravan_contracts import prompts as p
from caravan_contracts.errors import DependencyDown, InvalidRequest

from tests.conversations.examples import message
from tests.infrastructure import choice
from tests.stored.bench import Bench
from tests.work_queue.places import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("agents")) as servers:
        made = Bench(servers, conversation_items=5, item_bytes=2000, prompt_bytes=1500, prompt_versions=2)
        await made.start()
        yield made
        await made.close()


async def begin(bench: Bench, *texts: str) -> str:
    asked = c.CreateConversation(items=[message(text) for text in texts])
    made: c.Conversation = await bench.ask("create_conversation", asked, c.Conversation)
    return made.id


async def add(bench: Bench, talk: str, text: str) -> Any:
    asked = c.CreateConversationItems(conversation=talk, items=[message(text)])
    return await bench.ask("create_conversation_items", asked, c.ConversationItems)


async def texts(bench: Bench, talk: str) -> list[str]:
    asked = c.ListConversationItems(conversation=talk, order="asc")
    page: c.ConversationItems = await bench.ask("list_conversation_items", asked, c.ConversationItems)
    return [item["content"][0]["text"] for item in page.data]


async def test_without_postgres_it_is_a_503_until_it_is_back(bench: Bench) -> None:
    talk = await begin(bench, "before")
    prompt: p.Prompt = await bench.ask("create_prompt", p.CreatePrompt(prompt="Hi {{name}}"), p.Prompt)
    await bench.servers.kill("postgres")
    try:
        for call in (
            lambda: begin(bench, "x"),
            lambda: add(bench, talk, "x"),
            lambda: texts(bench, talk),
            lambda: bench.ask("get_prompt", p.GetPrompt(id=prompt.prompt_id), p.Prompt),
        ):
            with pytest.raises(DependencyDown) as caught:
                await call()
            assert caught.value.status == 503
            assert caught.value.retry_after
    finally:
        await bench.servers.restart("postgres")
    await eventually(lambda: add(bench, talk, "after"))
    assert await texts(bench, talk) == ["before", "after"]
    assert await bench.ask("get_prompt", p.GetPrompt(id=prompt.prompt_id), p.Prompt) == prompt


async def test_the_bounds_are_those_of_the_settings(bench: Bench) -> None:
    talk = await begin(bench, *"1234")
    with pytest.raises(InvalidRequest, match="an item of a conversation may have 2000") as caught:
        await add(bench, talk, "x" * 2000)
    assert (caught.value.param, caught.value.code) == ("items[0]", "item_too_large")
    await add(bench, talk, "5")
    with pytest.raises(InvalidRequest) as caught:
        await add(bench, talk, "6")
    assert caught.value.code == "conversation_full"
    with pytest.raises(InvalidRequest) as caught:
        await bench.ask("create_prompt", p.CreatePrompt(prompt='"' * 800), p.Prompt)
    assert caught.value.code == "prompt_too_large"
    made: p.Prompt = await bench.ask("create_prompt", p.CreatePrompt(prompt="1"), p.Prompt)
    await bench.ask("update_prompt", p.UpdatePrompt(id=made.prompt_id, prompt="2", version=1), p.Prompt)
    with pytest.raises(InvalidRequest) as caught:
        await bench.ask("update_prompt", p.UpdatePrompt(id=made.prompt_id, prompt="3", version=2), p.Prompt)
    assert caught.value.code == "too_many_versions"


async def test_messages_that_fit_no_contract_are_refused(bench: Bench) -> None:
    deep: Any = []
    for _ in range(120):
        deep = [deep]
    unchecked = c.CreateConversation.model_construct(items=[message("x", y=deep)], metadata={})
    with pytest.raises(InvalidRequest):
        await bench.ask("create_conversation", unchecked, c.Conversation)
    with pytest.raises(InvalidRequest) as caught:
        await bench.ask("create_conversation", c.CreateConversation(metadata={"k": "v" * 600}), c.Conversation)
    assert caught.value.param == "metadata"
