"""Makes chunks of a text as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from caravan_vector.chunking.atoms import AHEAD, Atom, Border, border, divided, next_end
from caravan_vector.chunking.strategy import Sizes
from caravan_vector.chunking.tokens import Count, cl100k, remembering
from caravan_vector.parsing.pieces import NOWHERE, Piece, Place

_WINDOW = 16 * 1024
"""Characters that are taken up at a time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document's text."""

    index: int
    """0, 1, 2 …"""
    start: int
    """Characters (code points) of the text before it."""
    end: int
    """Characters of the text up to its end."""
    text: str
    tokens: int
    place: Place
    """Of its first character that is no space."""
    last: Place
    """Of its end."""


class Chunker:
    """Give it the pieces in turn, then `end` it; each gives the chunks that are certain by then.

    Every chunk has at most `max_chunk_size_tokens` tokens and begins at most `chunk_overlap_tokens` tokens before the
    end of the one before it. Both cuts prefer, within the last quarter of what they may use, the border of a place
    (page, section) to that of a paragraph, then that of a sentence, a line, a word. The same text and places give the
    same chunks, in whatever pieces they come. What is kept is bounded by the size of a chunk.
    """

    def __init__(self, sizes: Sizes, count: Count | None = None) -> None:
        self._most = sizes.max_chunk_size_tokens
        self._overlap = sizes.chunk_overlap_tokens
        self._count = count or cl100k()
        self._count_word = remembering(self._count)
        self._text = ""
        self._places: list[tuple[int, Place]] = []
        """Where in the text that is kept another place begins."""
        self._taken = 0
        """Characters of the whole text that became atoms."""
        self._atoms: list[Atom] = []
        self._tokens = 0
        self._fresh = 0
        """Atoms at the beginning of those that are in the chunk before as well."""
        self._chunks = 0

    def feed(self, piece: Piece) -> Iterator[Chunk]:
        """Take the next piece; exhaust the iterator before the next call."""
        for start in range(0, len(piece.text), _WINDOW):
            if not self._places or self._places[-1][1] != piece.place:
                self._places.append((self._taken + len(self._text), piece.place))
            self._text += piece.text[start : start + _WINDOW]
            yield from self._take(AHEAD)

    def end(self) -> Iterator[Chunk]:
        """The text is over: the rest of it."""
        yield from self._take(0)
        while len(self._atoms) > self._fresh:
            yield self._cut(len(self._atoms))

    def _take(self, ahead: int) -> Iterator[Chunk]:
        """Make atoms of what is there, but for the last `ahead` characters, and chunks of the atoms."""
        at, text = 0, self._text
        while len(text) - at > ahead:
            end = next_end(text, at)
            for atom in self._atom(text[at:end], self._taken, text[end : end + 1]):
                yield from self._add(atom)
            self._taken += end - at
            at = end
        self._text = text[at:]

    def _atom(self, text: str, start: int, following: str) -> Iterator[Atom]:
        """The atoms of one unit: more than one if another place begins within it, or it has too many tokens."""
        end = start + len(text)
        while len(self._places) > 1 and self._places[1][0] <= start:
            self._places.pop(0)
        if len(self._places) > 1 and self._places[1][0] < end:
            cut = self._places[1][0] - start
            yield from self._atom(text[:cut], start, text[cut])
            yield from self._atom(text[cut:], start + cut, following)
            return
        place = self._places[0][1] if self._places else NOWHERE
        ends = len(self._places) > 1 and self._places[1][0] == end
        found = Border.PLACE if ends else border(text, following)
        yield from divided(Atom(text, start, self._count_word(text), found, place), self._most // 4, self._count)

    def _add(self, atom: Atom) -> Iterator[Chunk]:
        while self._tokens + atom.tokens > self._most:
            yield self._cut(self._best_end())
        self._atoms.append(atom)
        self._tokens += atom.tokens

    def _best_end(self) -> int:
        """How many atoms the chunk takes: up to the best border in its last quarter."""
        atoms, best, found, tokens = self._atoms, len(self._atoms), -1, self._tokens
        for number in range(len(atoms), self._fresh, -1):
            if tokens * 4 < self._most * 3:
                break
            if atoms[number - 1].border > found:
                best, found = number, atoms[number - 1].border
            tokens -= atoms[number - 1].tokens
        return best

    def _cut(self, number: int) -> Chunk:
        """The chunk of the first `number` atoms.

        It and what overlaps are counted as wholes, which may be more than the sum of their atoms.
        """
        text = "".join(atom.text for atom in self._atoms[:number])
        tokens = self._count(text)
        while tokens > self._most and number > self._fresh + 1:
            number -= 1
            text = text[: -len(self._atoms[number].text)]
            tokens = self._count(text)
        taken = self._atoms[:number]
        chunk = Chunk(self._chunks, taken[0].start, taken[-1].end, text, tokens, _first_place(taken), taken[-1].place)
        self._chunks += 1
        begin = self._begin(number)
        self._atoms = self._atoms[begin:]
        self._fresh = number - begin
        self._tokens = sum(atom.tokens for atom in self._atoms)
        return chunk

    def _begin(self, number: int) -> int:
        """The first atom of the next chunk: at the best border in the last quarter of the overlap."""
        atoms, best, found, tokens = self._atoms, number, -1, 0
        for at in range(number - 1, 0, -1):
            tokens += atoms[at].tokens
            if tokens > self._overlap:
                break
            behind = atoms[at - 1].border
            if tokens * 4 < self._overlap * 3:
                best = at
            elif behind >= found:
                best, found = at, behind
        while best < number and self._count("".join(atom.text for atom in atoms[best:number])) > self._overlap:
            best += 1
        return best


def _first_place(atoms: list[Atom]) -> Place:
    return next((atom.place for atom in atoms if not atom.text.isspace()), atoms[0].place)


def chunks(pieces: Iterable[Piece], sizes: Sizes, count: Count | None = None) -> Iterator[Chunk]:
    """All chunks of a text whose pieces are at hand."""
    chunker = Chunker(sizes, count)
    for piece in pieces:
        yield from chunker.feed(piece)
    yield from chunker.end()
