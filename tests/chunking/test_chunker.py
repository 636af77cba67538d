"""Chunks: what holds for any text, and where a reader would cut."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from caravan_vector.chunking.atoms import AHEAD, next_end
from caravan_vector.chunking.chunker import Chunk, Chunker, chunks
from caravan_vector.chunking.graphemes import border
from caravan_vector.chunking.strategy import Sizes
from caravan_vector.chunking.tokens import cl100k
from caravan_vector.parsing.pieces import Piece, Place
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = Sizes(max_chunk_size_tokens=100, chunk_overlap_tokens=50)
ANY = st.characters(exclude_categories=["Cs"])
WORDS = st.sampled_from(
    ["sails", "ropes.", "and", "…", "\n\n", "\n", " ", "\r\n", "。", "你好", "a" * 300, " " * 200, "é",
     "e\u0301", "\x00", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "한국어", "क्षि", "a\u0301" * 90, "\u0301" * 200, "x\u200d", "<|endoftext|>",
     "0123456789" * 20]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(ANY, max_size=400), st.lists(st.one_of(WORDS, st.text(ANY, max_size=5)), max_size=400).map("".join)
)
SIZES = st.tuples(st.integers(100, 160), st.floats(0, 0.5)).map(
    lambda both: Sizes(max_chunk_size_tokens=both[0], chunk_overlap_tokens=int(both[0] * both[1]))
)


def fresh(made: list[Chunk], text: str) -> str:
    """The chunks without what each shares with the one before it."""
    return "".join(text[max(chunk.start, before.end) : chunk.end] for before, chunk in pairwise([START, *made]))


START = Chunk(-1, 0, 0, "", 0, Place(), Place())


@settings(max_examples=150, deadline=None)
@given(TEXTS, SIZES)
def test_what_holds_for_any_text(text: str, sizes: Sizes) -> None:
    count = cl100k()
    made = list(chunks([Piece(text)], sizes))
    assert fresh(made, text) == text
    for number, chunk in enumerate(made):
        assert chunk.index == number
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.tokens == count(chunk.text) <= sizes.max_chunk_size_tokens
    for before, chunk in pairwise(made):
        assert before.start < chunk.start <= before.end < chunk.end
        assert count(text[chunk.start : before.end]) <= sizes.chunk_overlap_tokens


@settings(max_examples=50, deadline=None)
@given(TEXTS, SIZES, st.lists(st.integers(1, 700), min_size=1))
def test_the_pieces_in_which_a_text_comes_change_nothing(text: str, sizes: Sizes, lengths: list[int]) -> None:
    pieces, at = [], 0
    while at < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(Piece(text[at : at + length]))
        at += length
    assert list(chunks(pieces, sizes)) == list(chunks([Piece(text)], sizes))


@settings(max_examples=100, deadline=None)
@given(st.text(ANY, max_size=100), st.text(st.characters(codec="utf-8"), max_size=1000))
def test_an_atom_is_told_apart_by_what_is_looked_at(before: str, text: str) -> None:
    end = next_end(before + text, 0)
    if len(before + text) > AHEAD:
        assert end == next_end((before + text)[:AHEAD], 0)


@pytest.mark.parametrize(
    "character", ["👩‍👩‍👧‍👦", "🇩🇪", "e\u0301\u0323", "क्षि", "👍🏽", "각", "\r\n", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_characters_are_never_cut(character: str) -> None:
    text = character * 600
    made = list(chunks([Piece(text)], SMALL))
    assert len(made) > 1
    for chunk in made:
        assert chunk.start % len(character) == 0 and chunk.end % len(character) == 0
    assert [at for at in range(3 * len(character)) if border(text, at)] == [n * len(character) for n in range(3)]


def test_cuts_are_where_a_reader_would_cut() -> None:
    paragraph = "The mast stands. The sail is of linen, and so on it goes with many words without an end in sight. "
    text = "\n\n".join([paragraph * 3] * 12)
    made = list(chunks([Piece(text)], SMALL))
    assert all(chunk.text.endswith((". ", ".", "\n\n")) or chunk.text.rstrip().endswith(".") for chunk in made)
    assert all(chunk.text.lstrip().startswith(("The mast", "The sail")) for chunk in made)


def test_the_overlap_is_what_was_asked_for_nearly() -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    count = cl100k()
    for before, chunk in pairwise(chunks([Piece(text)], Sizes())):
        assert 300 <= count(text[chunk.start : before.end]) <= 400
        assert 600 <= before.tokens <= 800


def test_no_overlap() -> None:
    text = "some words " * 1000
    made = list(chunks([Piece(text)], Sizes(max_chunk_size_tokens=100, chunk_overlap_tokens=0)))
    assert "".join(chunk.text for chunk in made) == text
    assert all(before.end == chunk.start for before, chunk in pairwise(made))


def test_a_chunk_has_the_place_of_its_beginning_and_of_its_end() -> None:
    pages = [Piece(f"page {number} " + "some words " * 30, Place(page=number)) for number in range(1, 8)]
    made = list(chunks(pages, SMALL))
    text = "".join(page.text for page in pages)
    length = len(pages[0].text)
    assert len(text) == 7 * length
    for chunk in made:
        begin = chunk.start + len(chunk.text) - len(chunk.text.lstrip())
        assert (chunk.place.page, chunk.last.page) == (begin // length + 1, (chunk.end - 1) // length + 1)


def test_a_border_of_places_goes_before_one_of_sentences() -> None:
    one = Piece("A sentence of words. " * 16, Place(page=1))
    made = list(chunks([one, Piece("Another sentence. " * 40, Place(page=2))], SMALL))
    assert made[0].text == one.text and made[0].last == Place(page=1)


def test_nothing_and_little() -> None:
    assert list(chunks([], SMALL)) == [] == list(chunks([Piece("")], SMALL))
    assert [chunk.text for chunk in chunks([Piece("\n")], SMALL)] == ["\n"]
    assert [(chunk.text, chunk.tokens) for chunk in chunks([Piece("hello")], SMALL)] == [("hello", 1)]


@pytest.mark.parametrize("unit", ["x", "ab cd. ", "你", " ", "\n", "\u0301", "👍", "<|endoftext|>"], ids=ascii)
def test_work_is_linear_in_the_text(unit: str) -> None:
    """Counted, not timed: characters handed to the counter of tokens."""
    counted = 0
    count = cl100k()

    def counting(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return count(text)

    def work(length: int) -> int:
        nonlocal counted
        counted = 0
        for _ in chunks((Piece(unit * 1000) for _ in range(length)), Sizes(), counting):
            pass
        return counted

    small = work(20)
    assert work(80) < 5 * small + 100_000


def test_memory_does_not_grow_with_the_text() -> None:
    def most(pieces: int) -> int:
        chunker = Chunker(Sizes())
        tracemalloc.start()
        for _ in range(pieces):
            for chunk in chunker.feed(Piece("x" * 10_000)):
                assert chunk.tokens <= 800
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    most(20)
    assert most(100) < most(20) + 200_000


@pytest.mark.skipif(not Path("/usr/share/common-licenses/GPL-3").exists(), reason="this machine has no such text")
def test_a_real_text_is_quick_and_the_same_each_time() -> None:
    text = Path("/usr/share/common-licenses/GPL-3").read_text()
    began = time.monotonic()
    made = list(chunks([Piece(text)], Sizes()))
    assert time.monotonic() - began < 20
    assert made == list(chunks([Piece(text)], Sizes()))
    assert 15 < len(made) < 30 and sum(chunk.text.rstrip().endswith(".") for chunk in made) > len(made) // 2
