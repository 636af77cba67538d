"""Reranking: endpoints of several dialects over real HTTP, and embeddings where there is none."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    InvalidRequest,
    RateLimited,
    UpstreamBroke,
    UpstreamFailed,
)
from caravan_contracts.inference import JSON_BODY, Summary, Usage, Verb
from caravan_contracts.openai import read_request
from caravan_contracts.rerank import MAX_DOCUMENTS, AlphaRerankRequest
from caravan_inference import rerank
from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.openai_compatible import OpenAICompatible

from tests.providers.contract import SHOWN, Recorder, make_call, whole
from tests.upstream.scripted import ScriptedUpstream

DOCUMENTS = ["short", "the longest document of all", "a middle one"]
ASKED = {"query": "q", "documents": DOCUMENTS}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


async def ask(
    url: str, model: str = "some-reranker", body: dict[str, Any] | None = None, seconds: float = 20, **config: Any
) -> dict[str, Any]:
    options = ProviderOptions("up", "remote::openai-compatible", 8, {"base_url": url, "discover": False, **config})
    provider = OpenAICompatible(options)
    await provider.start()
    try:
        answer, result = await whole(provider, make_call(Verb.RERANK, model, body or ASKED, seconds=seconds))
    finally:
        await provider.close()
    assert result.summary.content_type == JSON_BODY
    assert result.summary.response_id == answer["id"]
    return answer


async def test_a_rerank_endpoint_gets_the_request_as_it_came(upstream: ScriptedUpstream) -> None:
    answer = await ask(upstream.url, body={**ASKED, "top_n": 2, "truncate_prompt_tokens": 5})
    assert upstream.requests[-1].body == {
        "model": "some-reranker",
        "stream": False,
        **ASKED,
        "top_n": 2,
        "truncate_prompt_tokens": 5,
    }
    assert answer["model"] == SHOWN
    assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert [(row["index"], row["relevance_score"]) for row in answer["results"]] == [(1, 0.27), (2, 0.12)]
    assert answer["results"][0]["document"] == {"text": DOCUMENTS[1]}


async def test_other_dialects_are_brought_into_the_same_shape(upstream: ScriptedUpstream) -> None:
    root = upstream.url.removesuffix("/v1")
    body = {**ASKED, "documents": [DOCUMENTS[0], {"text": DOCUMENTS[1]}, DOCUMENTS[2]], "top_n": 2}
    answer = await ask(root, body=body, rerank={"dialect": "tei"})
    assert upstream.requests[-1].body["texts"] == DOCUMENTS
    assert [row["index"] for row in answer["results"]] == [1, 2]
    with pytest.raises(InvalidRequest) as caught:
        await ask(root, body={**ASKED, "documents": [{"image": "x"}]}, rerank={"dialect": "tei"})
    assert caught.value.param == "documents[0]"


def test_nvidia_s_dialect_is_written_and_read() -> None:
    from caravan_inference.providers.openai_compatible import rerank as endpoint

    call = make_call(Verb.RERANK, "nv", ASKED)
    assert orjson.loads(endpoint.write_request(call, "nvidia")) == {
        "model": "nv",
        "query": {"text": "q"},
        "passages": [{"text": text} for text in DOCUMENTS],
    }
    raw = orjson.dumps({"rankings": [{"index": 0, "logit": -3.5}, {"index": 2, "logit": 1.5}]})
    answer = orjson.loads(endpoint.read_answer(call, raw, 1.0, "up").tail)
    assert [(row["index"], row["relevance_score"]) for row in answer["results"]] == [(2, 1.5), (0, -3.5)]


@pytest.mark.parametrize(
    "raw", [b"hello", b"{}", b"5", b'{"results": [{"index": 9, "score": 1}]}', b'{"results": [{}]}', b'{"results": 1}']
)
def test_an_answer_that_is_no_ranking_is_an_error(raw: bytes) -> None:
    from caravan_inference.providers.openai_compatible import rerank as endpoint

    with pytest.raises(UpstreamBroke):
        endpoint.read_answer(make_call(Verb.RERANK, "m", ASKED), raw, 1.0, "up")


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [("status-429", RateLimited, 429), ("status-503", UpstreamFailed, 503), ("notjson", UpstreamBroke, 502)],
)
async def test_refusals_keep_their_status(
    upstream: ScriptedUpstream, model: str, error: type[CaravanError], status: int
) -> None:
    with pytest.raises(error) as caught:
        await ask(upstream.url, model)
    assert caught.value.status == status
    assert caught.value.retry_after == (2 if status == 429 else None)


async def test_an_upstream_that_is_silent_or_gone(upstream: ScriptedUpstream) -> None:
    with pytest.raises(DeadlineExceeded):
        await ask(upstream.url, "hang", seconds=0.2)
    with pytest.raises(UpstreamFailed):
        await ask("http://127.0.0.1:9/v1")


class Vectors:
    """A provider of embeddings: each text's vector is told beforehand."""

    types = ("inline::vectors",)

    def __init__(self, known: dict[str, list[float]], *, base64: bool = True) -> None:
        self.options = ProviderOptions("vectors", "inline::vectors", 1)
        self.known = known
        self.base64 = base64
        self.calls: list[Call] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def models(self) -> list[Any]:
        return []

    async def run(self, call: Call, output: Output) -> Result:
        self.calls.append(call)
        texts = orjson.loads(call.body)["input"]
        rows = [{"index": i, "embedding": self._encoded(self.known[text])} for i, text in enumerate(texts)]
        raw = orjson.dumps({"data": rows[::-1]})
        output.write(raw[:10])
        await output.room()
        return Result(Summary(model="v", usage=Usage(prompt_tokens=6)), raw[10:])

    def _encoded(self, vector: list[float]) -> Any:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if self.base64 else vector


@pytest.mark.parametrize("packed", [True, False])
async def test_an_embedding_model_ranks_by_the_angle(packed: bool) -> None:
    known = {"q": [2.0, 0.0], "far": [0.0, 3.0], "near": [5.0, 0.0], "between": [1.0, 1.0]}
    provider = Vectors(known, base64=packed)
    body = {"query": "q", "documents": ["far", {"text": "near"}, "between"], "top_n": 2, "return_documents": True}
    call = make_call(Verb.RERANK, "v", body)
    result = await rerank.by_embeddings(provider, call)
    answer = orjson.loads(result.tail)
    assert [row["index"] for row in answer["results"]] == [1, 2]
    assert answer["results"][0]["relevance_score"] == pytest.approx(1)
    assert answer["results"][1]["relevance_score"] == pytest.approx(0.7071, abs=1e-4)
    assert answer["results"][0]["document"] == {"text": "near"}
    assert answer["model"] == SHOWN
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    [made] = provider.calls
    assert made.verb is Verb.EMBEDDINGS
    assert made.context is call.context


async def test_an_embedding_model_reads_text_only() -> None:
    call = make_call(Verb.RERANK, "v", {"query": "q", "documents": ["a", {"image_url": "x"}]})
    with pytest.raises(InvalidRequest) as caught:
        await rerank.by_embeddings(Vectors({}), call)
    assert caught.value.param == "documents[1]"


@pytest.mark.model
async def test_the_bundled_embedder_ranks() -> None:
    pytest.importorskip("onnxruntime")
    from caravan_inference.providers.onnx_embeddings import OnnxEmbeddings

    provider = OnnxEmbeddings(ProviderOptions("local", "inline::onnx-embeddings", 8, {"threads": 1}))
    await provider.start()
    try:
        documents = ["I am filing my tax return.", "A puppy plays outside.", "The stock market fell."]
        call = make_call(Verb.RERANK, "all-MiniLM-L6-v2", {"query": "A dog runs in the park.", "documents": documents})
        answer = orjson.loads((await rerank.by_embeddings(provider, call)).tail)
    finally:
        await provider.close()
    assert answer["results"][0]["index"] == 1
    assert answer["results"][0]["relevance_score"] > 0.35
    assert answer["usage"]["prompt_tokens"] > 0


async def test_a_cancelled_call_frees_the_upstream(upstream: ScriptedUpstream) -> None:
    provider = OpenAICompatible(
        ProviderOptions("up", "remote::openai-compatible", 8, {"base_url": upstream.url, "discover": False})
    )
    await provider.start()
    task = asyncio.create_task(provider.run(make_call(Verb.RERANK, "hang", ASKED), Recorder()))
    await asyncio.wait([task], timeout=0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    answer, _ = await whole(provider, make_call(Verb.RERANK, "some-reranker", ASKED))
    await provider.close()
    assert len(answer["results"]) == 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": [1]}, "documents"),
        ({"query": "q", "documents": ["a"] * (MAX_DOCUMENTS + 1)}, "documents"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
        ({"query": 5, "documents": ["a"]}, "query"),
    ],
)
def test_what_is_wrong_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(Verb.RERANK, orjson.dumps({"model": "m", **body}))
    assert caught.value.param == param


def test_a_rerank_never_streams() -> None:
    assert not read_request(Verb.RERANK, orjson.dumps({"model": "m", **ASKED, "stream": True})).stream


def test_parts_of_the_older_shape_become_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    asked = AlphaRerankRequest.model_validate(
        {"model": "m", "query": {"type": "text", "text": "q"}, "items": ["a", {"type": "text", "text": "b"}, image]}
    )
    made = asked.to_request()
    assert (made.query, made.documents, made.top_n) == ("q", ["a", "b", image], None)
