"""any-llm: its list of providers, what is said when it is missing, and SDKs that block."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator

import pytest
from caravan_contracts.errors import InvalidRequest, RateLimited, Unavailable, UpstreamFailed
from caravan_inference.providers.any_llm import AnyLLM, names, threads
from caravan_inference.providers.any_llm.refusals import refusal
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.credentials import callers_key
from caravan_inference.providers.discover import classes
from caravan_inference.providers.openai_compatible import OpenAICompatible
from caravan_inference.providers.openai_compatible.presets import PRESETS

any_llm = pytest.importorskip("any_llm")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list_is_any_llm_s_own() -> None:
    assert set(names.names()) == set(any_llm.AnyLLM.get_supported_providers())


def test_every_one_has_a_type_and_presets_stay_what_they_are() -> None:
    table = classes()
    for name in names.names():
        assert table[f"remote::any-llm-{name}"] is AnyLLM
        assert names.name_of(f"remote::any-llm-{name}") == names.name_of(f"remote::{name}") == name
        assert table[f"remote::{name}"] is (OpenAICompatible if name in PRESETS else AnyLLM)
    assert table["remote::bedrock"] is table["remote::vertexai"] is table["remote::watsonx"] is AnyLLM
    assert table["remote::anthropic"] is OpenAICompatible


def test_listing_types_imports_none_of_it() -> None:
    code = """
import sys
from caravan_inference.providers.discover import classes, create
from caravan_inference.providers.base import ProviderOptions
assert "remote::bedrock" in classes()
create(ProviderOptions("b", "remote::bedrock", 1))
print([name for name in ("any_llm", "openai", "anthropic", "httpx", "boto3") if name in sys.modules])
"""
    assert python(code).strip() == "[]"


@pytest.mark.parametrize("kind", ["remote::bedrock", "remote::any-llm-anthropic"])
def test_without_any_llm_it_is_said_what_to_install(kind: str) -> None:
    code = f"""
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "any_llm" else found(name, *more)
from caravan_contracts.errors import InvalidRequest
from caravan_inference.providers.discover import create
from caravan_inference.providers.base import ProviderOptions
try:
    create(ProviderOptions("b", {kind!r}, 1))
except InvalidRequest as error:
    print(error.message)
"""
    assert "pip install caravan-inference[any-llm]" in python(code)


async def test_without_the_upstream_s_sdk_it_is_said_what_to_install() -> None:
    wanting = next(
        (name for name in names.names() if any_llm.AnyLLM.get_provider_class(name).MISSING_PACKAGES_ERROR), None
    )
    if wanting is None:
        pytest.skip("every SDK is installed")
    with pytest.raises(Unavailable, match=rf"any-llm-sdk\[{wanting}\]"):
        await AnyLLM(ProviderOptions("b", f"remote::any-llm-{wanting}", 1)).start()


async def test_starting_it_keeps_the_loop_free() -> None:
    """In a fresh interpreter: the import takes seconds, on a thread. On the loop it would be one pause, nearly all of
    the time."""
    code = """
import asyncio, time
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.discover import create

async def main():
    provider = create(ProviderOptions("a", "remote::any-llm-anthropic", 1, {"api_key": "x"}))
    task = asyncio.create_task(provider.start())
    began = last = time.perf_counter()
    worst = 0.0
    while not task.done():
        await asyncio.sleep(0.01)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    await task
    await provider.close()
    return worst / (last - began)

print(asyncio.run(main()))
"""
    assert float(await asyncio.to_thread(python, code)) < 0.7


def test_only_the_shared_tenant_may_use_the_worker_s_credentials() -> None:
    with pytest.raises(InvalidRequest, match="shared tenant"):
        AnyLLM(ProviderOptions("b", "remote::bedrock", 1, {}, "acme"))
    with pytest.raises(InvalidRequest, match="regoin"):
        AnyLLM(ProviderOptions("b", "remote::bedrock", 1, {"regoin": "x"}))


def test_the_key_of_a_caller_is_found_by_id_or_type() -> None:
    given = {"My-Up_API_KEY": "a", "anthropic_api_token": "b"}
    assert callers_key(given, ("my_up", "anthropic")) == "a"
    assert callers_key(given, ("other", "anthropic")) == "b"
    assert callers_key(given, ("other",)) == callers_key({}, ("my_up",)) == ""


async def numbers(upto: int, seconds: float = 0.0, broken: bool = False) -> AsyncIterator[int]:
    """As Bedrock's streams in any-llm: it blocks between two items."""
    for number in range(upto):
        time.sleep(seconds)  # noqa: ASYNC251  that is what is tested
        yield number
    if broken:
        raise UpstreamFailed("broken")


async def test_an_sdk_that_blocks_does_not_hold_the_loop_up() -> None:
    async def work() -> AsyncIterator[int]:
        return numbers(5, 0.05)

    began = time.perf_counter()
    streams = [asyncio.create_task(_all(work)) for _ in range(4)]
    worst = last = 0.0
    while not all(task.done() for task in streams):
        last = time.perf_counter()
        await asyncio.wait(streams, timeout=0.005)
        worst = max(worst, time.perf_counter() - last)
    assert [task.result() for task in streams] == [[0, 1, 2, 3, 4]] * 4
    assert worst < 0.2
    assert time.perf_counter() - began < 0.25 * 4, "the streams ran one after the other"


async def _all(work: object) -> list[int]:
    return [item async for item in threads.stream(work)]  # type: ignore[arg-type]


async def test_a_thread_is_never_far_ahead_and_ends_when_nobody_reads() -> None:
    made = 0

    async def work() -> AsyncIterator[int]:
        async def endless() -> AsyncIterator[int]:
            nonlocal made
            while True:
                made += 1
                yield made

        return endless()

    stream = threads.stream(work)
    assert await anext(stream) == 1
    await asyncio.to_thread(time.sleep, 0.1)
    assert made <= threads.AHEAD + 2
    running = [thread for thread in threading.enumerate() if thread.name == "any-llm-stream"]
    await stream.aclose()
    for thread in running:
        await asyncio.to_thread(thread.join, 3)
        assert not thread.is_alive()


async def test_errors_come_out_of_the_thread() -> None:
    async def work() -> AsyncIterator[int]:
        return numbers(2, broken=True)

    stream = threads.stream(work)
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(UpstreamFailed):
        await anext(stream)

    async def fails() -> int:
        raise RateLimited("slow down")

    with pytest.raises(RateLimited):
        await threads.result(fails)


def test_retry_after_may_be_a_date() -> None:
    from email.utils import formatdate

    errors = any_llm.exceptions
    error = errors.RateLimitError("slow down", retry_after=formatdate(time.time() + 30, usegmt=True))
    made = refusal("up", error, errors)
    assert isinstance(made, RateLimited)
    assert made.retry_after == pytest.approx(30, abs=2)
    error.retry_after = "soon"
    assert refusal("up", error, errors).retry_after is None


@pytest.mark.parametrize(
    "words",
    [
        "prompt is too long: 212345 tokens > 200000 maximum",
        "Input is too long for requested model.",
        "This model's maximum context length is 8192 tokens",
        "The input token count (9000) exceeds the maximum number of tokens allowed (8000).",
        "too many tokens: total must be at most 4096",
    ],
)
def test_a_prompt_that_is_too_long_is_known_by_its_words(words: str) -> None:
    errors = any_llm.exceptions
    assert refusal("up", errors.InvalidRequestError(words, status_code=400), errors).code == "context_length_exceeded"


def test_a_filtered_prompt_is_passed_on_as_it_is() -> None:
    errors = any_llm.exceptions
    made = refusal("up", errors.ContentFilterError("blocked", status_code=400), errors)
    assert (made.status, made.code, made.retryable) == (400, "content_filter", False)
