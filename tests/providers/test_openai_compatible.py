"""The byte-forwarding provider, held to the same contract as all others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_contracts.inference import Verb
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.openai_compatible import OpenAICompatible

from tests.providers.contract import ProviderContract
from tests.upstream.scripted import ScriptedUpstream

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider() -> AsyncIterator[OpenAICompatible]:
    upstream = ScriptedUpstream()
    upstream.start()
    made = OpenAICompatible(ProviderOptions("up", "remote::openai-compatible", 8, {"base_url": upstream.url}))
    await made.start()
    yield made
    await made.close()
    upstream.stop()


@in_module
class TestContract(ProviderContract):
    model = "plain"
    verbs = frozenset(Verb) - {Verb.MESSAGES}
