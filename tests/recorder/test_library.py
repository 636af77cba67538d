"""Which recording answers a request, and what a miss says."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from caravan_contracts.errors import InvalidJSON
from caravan_contracts.inference import CallSpec, Verb
from caravan_contracts.registry import ModelType
from caravan_recorder import cassette
from caravan_recorder.cassette import Outcome, Recording
from caravan_recorder.errors import NoRecording
from caravan_recorder.library import Library
from caravan_recorder.scrub import MARK, Scrubber

SPEC = CallSpec("replay", "m", "replay/m", False)


def body(text: str = "hi", **more: object) -> dict[str, object]:
    return {"model": "p/m", "messages": [{"role": "user", "content": text}], **more}


def answer(said: str, text: str = "hi", **more: object) -> Recording:
    return cassette.answered("m", body(text, **more), {"said": said})


def library(*recordings: Recording, **options: bool) -> Library:
    return Library(recordings, Scrubber(), **options)


def said(books: Library, text: str = "hi", **more: object) -> str:
    found = books.find("chat", SPEC, orjson.dumps({**body(text, **more), "model": "another/name"}))
    return str(orjson.loads(found.answer)["said"])


def test_equal_requests_get_their_answers_in_order_and_then_the_last_again() -> None:
    books = library(answer("one"), answer("two"), answer("other", "hello"))
    assert [said(books) for _ in range(4)] == ["one", "two", "two", "two"]
    assert said(books, "hello") == "other"


def test_in_a_loop_they_begin_again() -> None:
    books = library(answer("one"), answer("two"), loop=True)
    assert [said(books) for _ in range(5)] == ["one", "two", "one", "two", "one"]


def test_a_miss_names_the_nearest_recording_and_where_it_differs() -> None:
    books = library(answer("one"), answer("two", "What is the weather in Paris?", temperature=0.5))
    with pytest.raises(NoRecording, match=r"They differ at messages\[0\].content.*Paris.*Rome") as caught:
        said(books, "What is the weather in Rome?", temperature=0.5)
    assert caught.value.status == 404
    with pytest.raises(NoRecording, match="differ at temperature: recorded nothing, asked 1"):
        said(books, temperature=1)
    with pytest.raises(NoRecording, match="differ at stream: recorded false, asked true"):
        books.find("chat", replace(SPEC, stream=True), orjson.dumps(body()))


def test_an_incomplete_answer_is_none_and_the_miss_says_so() -> None:
    broken = replace(answer("one"), outcome=Outcome.INCOMPLETE, note="its client left")
    books = library(broken)
    assert (books.answers, books.left_out) == (0, 1)
    with pytest.raises(NoRecording, match="it is no answer: its client left"):
        said(books)


def test_recorded_errors_are_answers_unless_they_are_left_out() -> None:
    failed = replace(answer("x"), outcome=Outcome.ERROR, error={"error": {}})
    assert library(failed).find("chat", SPEC, orjson.dumps(body())) is failed
    assert said(library(failed, answer("well"), errors=False)) == "well"


def test_a_request_with_a_secret_finds_its_recording() -> None:
    recorded = answer("one", f"the key is {MARK}")
    assert said(library(recorded), "the key is sk-" + "0123456789abcdefghij") == "one"


def test_models_are_listed_with_their_type() -> None:
    vectors = cassette.answered("e", {"model": "e", "input": "a"}, {}, Verb.EMBEDDINGS)
    listed = {model.id: model.model_type for model in library(answer("one"), vectors).models()}
    assert listed == {"e": ModelType.EMBEDDING, "m": ModelType.LLM}


@pytest.mark.parametrize("raw", [b"{", b"[1]", b"[" * 5000 + b"]" * 5000])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJSON):
        library(answer("one")).find("chat", SPEC, raw)
