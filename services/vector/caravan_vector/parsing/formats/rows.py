"""CSV and TSV: each row a line, its cells parted by bars."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.encoding import decoded
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece

MOST_CELL = 1024 * 1024
"""Characters of one cell: a quote that is never closed makes one of all that follows."""
SAMPLE = 4096


def read(document: Opened) -> Iterator[Piece]:
    """Row by row; the delimiter is the most frequent one of the first lines."""
    csv.field_size_limit(MOST_CELL)
    texts = decoded(document.file)
    first = next(texts, "")
    try:
        for row in csv.reader(_lines(first, texts), delimiter=_delimiter(first[:SAMPLE])):
            if line := joined(row):
                yield Piece(line + "\n")
    except csv.Error as error:
        raise InvalidFile(f"the table cannot be read: {error}") from error


def joined(cells: Iterable[str]) -> str:
    """One row of a table as a line, without empty cells at its end; "" when it has none."""
    return " | ".join(" ".join(cell.split()) for cell in cells).rstrip(" |")


def _delimiter(sample: str) -> str:
    return max(",;\t|", key=sample.count)


def _lines(first: str, texts: Iterator[str]) -> Iterator[str]:
    """Lines with their ends. A line without an end is bounded by the reader's bound of a cell."""
    parts: list[str] = []
    for text in chain((first,), texts):
        *lines, rest = text.split("\n")
        for line in lines:
            yield "".join((*parts, line, "\n"))
            parts = []
        parts.append(rest)
        if sum(map(len, parts)) > 2 * MOST_CELL:
            raise InvalidFile(f"a row of the table is longer than {2 * MOST_CELL} characters")
    if last := "".join(parts):
        yield last
