"""The bundled embedder, really loaded, on one thread."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts.errors import ContextLengthExceeded, InvalidJSON, InvalidRequest, ModelNotFound
from caravan_contracts.inference import Verb
from caravan_contracts.registry import ModelType
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.onnx_embeddings import OnnxEmbeddings
from caravan_inference.providers.onnx_embeddings.batches import MAX_ROWS

from tests.providers.contract import ProviderContract, Recorder, make_call, whole

pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")
pytestmark = [pytest.mark.model]
in_module = pytest.mark.asyncio(loop_scope="module")

MODEL = "all-MiniLM-L6-v2"
Vector = list[float]


def make(**config: Any) -> OnnxEmbeddings:
    return OnnxEmbeddings(ProviderOptions("local", "inline::onnx-embeddings", 256, {"threads": 1, **config}))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider() -> AsyncIterator[OnnxEmbeddings]:
    made = make()
    await made.start()
    yield made
    await made.close()


async def ask(provider: OnnxEmbeddings, given: Any, **more: Any) -> dict[str, Any]:
    answer, _ = await whole(provider, make_call(Verb.EMBEDDINGS, MODEL, {"input": given, **more}))
    return answer


async def vectors(provider: OnnxEmbeddings, given: Any) -> list[Vector]:
    return [row["embedding"] for row in (await ask(provider, given))["data"]]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@in_module
class TestContract(ProviderContract):
    model = MODEL
    verbs = frozenset({Verb.EMBEDDINGS})


@in_module
async def test_it_says_how_long_its_vectors_are(provider: OnnxEmbeddings) -> None:
    [model] = await provider.models()
    assert model.model_type is ModelType.EMBEDDING
    assert model.metadata == {"embedding_dimension": 384, "context_length": 256}


@in_module
async def test_what_means_the_same_is_near(provider: OnnxEmbeddings) -> None:
    dog, puppy, tax = await vectors(
        provider, ["A dog runs in the park.", "A puppy plays outside.", "I am filing my tax return."]
    )
    assert dot(dog, puppy) > 0.35
    assert dot(dog, tax) < 0.15
    assert all(math.isclose(dot(vector, vector), 1, abs_tol=1e-4) for vector in (dog, puppy, tax))


@in_module
async def test_many_inputs_come_back_in_their_order(provider: OnnxEmbeddings) -> None:
    texts = [f"{'word ' * (i * 7 % 40)}number {i}" for i in range(MAX_ROWS + 8)]
    together = await vectors(provider, texts)
    assert len(together) == len(texts)
    for i in (0, 5, MAX_ROWS + 7):
        [alone] = await vectors(provider, texts[i])
        assert dot(alone, together[i]) > 0.99


@in_module
async def test_base64_holds_the_same_numbers(provider: OnnxEmbeddings) -> None:
    plain = await ask(provider, "Hello")
    packed = await ask(provider, "Hello", encoding_format="base64", dimensions=384)
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack("<384f", raw) == pytest.approx(plain["data"][0]["embedding"])


@in_module
async def test_tokens_are_counted_and_taken(provider: OnnxEmbeddings) -> None:
    text = await ask(provider, "hello world")
    assert text["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    hello_world = [7592, 2088]
    for tokens in (hello_world, [hello_world], [101, *hello_world, 102]):
        answer = await ask(provider, tokens)
        assert answer["usage"] == text["usage"]
        assert dot(answer["data"][0]["embedding"], text["data"][0]["embedding"]) > 0.999


@in_module
async def test_a_long_text_is_cut_unless_it_is_to_be_refused(provider: OnnxEmbeddings) -> None:
    answer = await ask(provider, "word " * 5000)
    assert answer["usage"]["prompt_tokens"] == 256
    strict = make(truncate=False)
    await strict.start()
    try:
        with pytest.raises(ContextLengthExceeded, match="256") as caught:
            await ask(strict, "word " * 300)
        assert caught.value.param == "input"
    finally:
        await strict.close()


@in_module
@pytest.mark.parametrize("given", ["", [], [""], ["x", ""], [[]], [1, "a"], [True], 5, None, {}, [99_999], [-1]])
async def test_an_input_that_cannot_be_embedded_is_refused(provider: OnnxEmbeddings, given: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(provider, given)
    assert caught.value.param == "input"


@in_module
@pytest.mark.parametrize(
    ("more", "param"),
    [({"dimensions": 128}, "dimensions"), ({"encoding_format": "hex"}, "encoding_format")],
)
async def test_what_it_cannot_do_is_refused_by_name(provider: OnnxEmbeddings, more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(provider, "x", **more)
    assert caught.value.param == param


@in_module
async def test_bad_json_other_verbs_and_other_models_are_refused(provider: OnnxEmbeddings) -> None:
    with pytest.raises(InvalidJSON):
        await provider.run(make_call(Verb.EMBEDDINGS, MODEL, b"{"), Recorder())
    with pytest.raises(InvalidRequest):
        await provider.run(make_call(Verb.CHAT, MODEL, {"messages": []}), Recorder())
    with pytest.raises(ModelNotFound):
        await provider.run(make_call(Verb.EMBEDDINGS, "another", {"input": "x"}), Recorder())


@in_module
async def test_a_small_call_does_not_wait_for_a_large_one(provider: OnnxEmbeddings) -> None:
    large = asyncio.create_task(ask(provider, ["many different words " * 100] * 24))
    await asyncio.wait([large], timeout=0.1)
    await ask(provider, "small")
    assert not large.done()
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)


@in_module
async def test_a_large_answer_is_written_in_pieces(provider: OnnxEmbeddings) -> None:
    out = Recorder()
    result = await provider.run(make_call(Verb.EMBEDDINGS, MODEL, {"input": ["a"] * 100}), out)
    assert out.writes
    assert len(result.tail) <= 256 * 1024


@in_module
async def test_calls_that_come_together_are_computed_together(provider: OnnxEmbeddings) -> None:
    texts = [f"question number {i}" for i in range(12)]
    alone = [(await vectors(provider, text))[0] for text in texts]
    runs = provider.turns.runs
    together = await asyncio.gather(*(ask(provider, text) for text in texts))
    assert provider.turns.runs - runs <= 3
    for one, answer in zip(alone, together, strict=True):
        assert answer["usage"]["prompt_tokens"] > 0
        # int8 activations are scaled per batch, so the last digits depend on the company
        assert dot(one, answer["data"][0]["embedding"]) > 0.99


@in_module
async def test_a_cancelled_call_does_not_hurt_its_company(provider: OnnxEmbeddings) -> None:
    texts = [f"question number {i}" for i in range(8)]
    tasks = [asyncio.create_task(ask(provider, text)) for text in texts]
    await asyncio.wait(tasks, timeout=0.002)
    for task in tasks[::2]:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, dict) for end in ends[1::2])
    for text, end in zip(texts[1::2], ends[1::2], strict=True):
        assert isinstance(end, dict)
        assert dot((await vectors(provider, text))[0], end["data"][0]["embedding"]) > 0.99


@in_module
async def test_a_file_with_another_hash_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InvalidRequest, match="sha256"):
        await make(model_path=str(path), tokenizer_path=str(path), sha256="0" * 64).start()
    with pytest.raises(InvalidRequest, match="tokenizer_path"):
        make(model_path=str(path))


def test_a_missing_runtime_names_what_to_install() -> None:
    code = """
import asyncio, sys
sys.modules["onnxruntime"] = None
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.onnx_embeddings import OnnxEmbeddings
asyncio.run(OnnxEmbeddings(ProviderOptions("local", "inline::onnx-embeddings", 1)).start())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False)
    assert "pip install caravan-inference[local]" in done.stderr.splitlines()[-1]
