"""OpenAI's chunking_strategy, and contextual chunks."""

from __future__ import annotations

from typing import Any

import pytest
from caravan_vector.chunking.contextual import CHUNK, DOCUMENT, join, prompt
from caravan_vector.chunking.strategy import ChunkingStrategy, Contextual, Sizes
from pydantic import TypeAdapter, ValidationError

STRATEGY: TypeAdapter[Any] = TypeAdapter(ChunkingStrategy)


def sizes(said: dict[str, Any]) -> tuple[int, int]:
    found = STRATEGY.validate_python(said).sizes
    return found.max_chunk_size_tokens, found.chunk_overlap_tokens


def test_openai_s_strategies() -> None:
    assert sizes({"type": "auto"}) == (800, 400)
    assert sizes({"type": "static", "static": {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 0}}) == (4096, 0)
    assert sizes({"type": "contextual", "contextual": {"model_id": "m"}}) == (700, 350)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "static"},
        {"type": "static", "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0}},
        {"type": "static", "static": {"max_chunk_size_tokens": 4097, "chunk_overlap_tokens": 0}},
        {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}},
        {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": -1}},
        {"type": "static", "static": {"max_chunk_size_tokens": 100}},
        {"type": "contextual", "contextual": {"concurrency": 0}},
        {"type": "other"},
        {"type": "auto", "more": 1},
    ],
)
def test_what_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STRATEGY.validate_python(said)


def test_contextual_has_defaults_for_all_it_has() -> None:
    found = Contextual().contextual
    assert (found.timeout, found.concurrency, found.retries, found.model_id) == (30.0, 3, 3, None)
    assert isinstance(Contextual().sizes, Sizes)


def test_a_prompt_has_document_and_chunk_once_each() -> None:
    asked = prompt(None, f"all of {CHUNK} it", f"a {DOCUMENT} part")
    assert asked.startswith(f"<document>\nall of {CHUNK} it\n</document>")
    assert asked.count(f"<chunk>\na {DOCUMENT} part\n</chunk>") == 1


def test_a_template_of_one_s_own() -> None:
    assert prompt(f"{CHUNK} in {DOCUMENT}?", "D", "C") == "C in D?"
    assert prompt("Why?", "D", "C") == "Why?\n\n<document>\nD\n</document>\n\n<chunk>\nC\n</chunk>"
    assert prompt(f"{DOCUMENT}: why?", "D", "C") == "D: why?\n\n<chunk>\nC\n</chunk>"


def test_a_context_is_one_line_before_its_chunk() -> None:
    assert join(" From the\nlog. ", "text") == "From the log.\n\ntext"
    assert join(" \n", "text") == "text"
    assert len(join("x" * 10_000, "")) == 2002
