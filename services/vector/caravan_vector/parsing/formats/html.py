"""HTML: what a reader would see, with headings, lists and tables as lines."""

from __future__ import annotations

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from caravan_vector.parsing.formats.encoding import decoded
from caravan_vector.parsing.formats.headings import Headings
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece

UNSEEN = frozenset({
    "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "audio",
    "video", "select", "datalist", "textarea",
})  # fmt: skip
BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
})  # fmt: skip
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CELLS = frozenset({"td", "th"})
SOFT = frozenset({"p", "div", "br"})
"""Blocks that end no line within a cell of a table, which would tear its row apart."""
_MOST_HEADING = 2000


def read(document: Opened) -> Iterator[Piece]:
    """Walks the tree without recursion: documents may be nested as deeply as they like."""
    tree = LexborHTMLParser("".join(decoded(document.file)))
    root = tree.body or tree.root
    return iter(()) if root is None else _Walk().pieces(root)


class _Walk:
    """The way through the tree, with what has been said so far."""

    def __init__(self) -> None:
        self._headings = Headings()
        self._line: list[str] = []
        self._preformatted = 0
        self._heading: list[str] | None = None
        self._cells: list[int] = []
        """Cells that are open, of each table that is."""

    def pieces(self, root: LexborNode) -> Iterator[Piece]:
        node: LexborNode | None = root
        while node is not None:
            if node.is_text_node:
                self._text(node.text_content or "")
            elif node.is_element_node and node.tag not in UNSEEN:
                yield from self._enter(node.tag or "")
                if (child := node.first_child) is not None:
                    node = child
                    continue
                yield from self._leave(node.tag or "")
            while node is not None and node.mem_id != root.mem_id and node.next is None:
                node = node.parent
                if node is not None:
                    yield from self._leave(node.tag or "")
            node = None if node is None or node.mem_id == root.mem_id else node.next
        yield from self._end()

    def _text(self, text: str) -> None:
        if self._preformatted:
            self._line.append(text)
            return
        words = " ".join(text.split())
        if not words:
            words = " " if text else ""
        else:
            words = (" " if text[0].isspace() else "") + words + (" " if text[-1].isspace() else "")
        if self._heading is not None and sum(map(len, self._heading)) < _MOST_HEADING:
            self._heading.append(words)
        self._line.append(words)

    def _enter(self, tag: str) -> Iterator[Piece]:
        if self._soft(tag):
            self._line.append(" ")
        elif tag in HEADINGS:
            yield from self._end(blank=True)
            self._heading = []
        elif tag in BLOCKS or tag == "br":
            yield from self._end()
        if tag == "pre":
            self._preformatted += 1
        elif tag == "li":
            self._line.append("- ")
        self._count(tag, 1)

    def _leave(self, tag: str) -> Iterator[Piece]:
        self._count(tag, -1)
        if self._soft(tag):
            self._line.append(" ")
        elif tag in HEADINGS:
            self._headings.enter(HEADINGS[tag], "".join(self._heading or ()))
            self._heading = None
            yield from self._end(blank=True)
        elif tag in CELLS:
            self._line.append(" | ")
        elif tag in BLOCKS:
            yield from self._end(blank=tag in ("p", "table", "ul", "ol", "pre", "blockquote"))
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def _soft(self, tag: str) -> bool:
        return tag in SOFT and bool(self._cells and self._cells[-1])

    def _count(self, tag: str, step: int) -> None:
        """Keep account of tables and cells."""
        if tag == "table":
            if step > 0:
                self._cells.append(0)
            elif self._cells:
                self._cells.pop()
        elif tag in CELLS and self._cells:
            self._cells[-1] += step

    def _end(self, blank: bool = False) -> Iterator[Piece]:
        """The line is over."""
        text = "".join(self._line)
        self._line = []
        if self._preformatted:
            text = text.strip("\n")
        else:
            text = " ".join(text.split()).rstrip("| ")
        if text and text != "-":
            yield Piece(text + ("\n\n" if blank else "\n"), self._headings.place)
