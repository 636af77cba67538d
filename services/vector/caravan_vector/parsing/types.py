"""The one table of what can be read: from it come the list of types, the choice of a parser and the errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import PurePath

OOXML = "application/vnd.openxmlformats-officedocument"
FORMATS = "caravan_vector.parsing.formats"
OCR = find_spec("rapidocr") is not None
"""The extra `ocr` is installed: images are read, and pages that were scanned."""


class Content(StrEnum):
    """What the bytes look like."""

    TEXT = "text"
    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    IMAGE = "image"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of document."""

    media_type: str
    parser: str
    """"module:function" of the parser, imported in the worker alone; "" = none is installed."""
    content: Content
    extensions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other media types under which it goes about."""


def _text(media_type: str, extensions: str, *aliases: str, parser: str = "plain:read") -> Kind:
    return Kind(media_type, f"{FORMATS}.{parser}", Content.TEXT, tuple(extensions.split()), aliases)


def _image(media_type: str, extensions: str) -> Kind:
    return Kind(media_type, f"{FORMATS}.image:read" if OCR else "", Content.IMAGE, tuple(extensions.split()))


TABLE: tuple[Kind, ...] = (
    Kind("application/pdf", f"{FORMATS}.pdf:read", Content.PDF, ("pdf",), ("application/x-pdf",)),
    Kind(f"{OOXML}.wordprocessingml.document", f"{FORMATS}.docx:read", Content.DOCX, ("docx",)),
    Kind(f"{OOXML}.presentationml.presentation", f"{FORMATS}.pptx:read", Content.PPTX, ("pptx",)),
    Kind(f"{OOXML}.spreadsheetml.sheet", f"{FORMATS}.xlsx:read", Content.XLSX, ("xlsx",)),
    _text("text/html", "html htm xhtml", "application/xhtml+xml", parser="html:read"),
    _text("text/markdown", "md markdown", "text/x-markdown", parser="markdown:read"),
    _text("text/csv", "csv", "application/csv", parser="rows:read"),
    _text("text/tab-separated-values", "tsv", parser="rows:read"),
    _text("application/json", "json", "text/json"),
    _text("application/x-ndjson", "jsonl ndjson", "application/jsonl", "application/jsonlines"),
    _text("text/plain", "txt text log rst adoc ini cfg conf env properties diff patch"),
    _text("text/x-python", "py pyi", "text/x-script.python"),
    _text("text/javascript", "js mjs cjs jsx", "application/javascript"),
    _text("application/typescript", "ts tsx", "text/x-typescript"),
    _text("text/x-c", "c h"),
    _text("text/x-c++", "cpp cc cxx hpp hh hxx", "text/x-c++src"),
    _text("text/x-csharp", "cs"),
    _text("text/x-java", "java", "text/x-java-source"),
    _text("text/x-golang", "go", "text/x-go"),
    _text("text/x-rust", "rs"),
    _text("text/x-ruby", "rb"),
    _text("text/x-php", "php", "application/x-httpd-php"),
    _text("text/x-swift", "swift"),
    _text("text/x-kotlin", "kt kts"),
    _text("text/x-scala", "scala"),
    _text("application/x-sh", "sh bash zsh", "text/x-sh", "application/x-shellscript"),
    _text("text/x-sql", "sql", "application/sql"),
    _text("text/css", "css"),
    _text("text/x-tex", "tex", "application/x-tex", "application/x-latex"),
    _text("application/yaml", "yaml yml", "text/yaml", "application/x-yaml", "text/x-yaml"),
    _text("application/toml", "toml"),
    _text("application/xml", "xml", "text/xml"),
    _image("image/png", "png"),
    _image("image/jpeg", "jpg jpeg"),
    _image("image/tiff", "tif tiff"),
    _image("image/gif", "gif"),
    _image("image/webp", "webp"),
)

BY_TYPE: Mapping[str, Kind] = {name: kind for kind in TABLE for name in (kind.media_type, *kind.aliases)}
BY_EXTENSION: Mapping[str, Kind] = {extension: kind for kind in TABLE for extension in kind.extensions}
BY_CONTENT: Mapping[Content, Kind] = {
    kind.content: kind for kind in TABLE if kind.content not in (Content.TEXT, Content.IMAGE)
}
PLAIN = BY_TYPE["text/plain"]
SAYS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/zip"})
"""Declared types that clients send when they do not know."""


def supported() -> tuple[str, ...]:
    """Media types that can be read, in order."""
    return tuple(sorted(kind.media_type for kind in TABLE if kind.parser))


def by_media_type(declared: str | None) -> Kind | None:
    """The kind of a declared media type, without regard to its parameters and its case."""
    return BY_TYPE.get(bare(declared))


def by_filename(filename: str | None) -> Kind | None:
    """The kind that a name's extension stands for."""
    return BY_EXTENSION.get(PurePath(filename or "").suffix[1:].lower())


def bare(declared: str | None) -> str:
    """A media type without its parameters, in lower case."""
    return (declared or "").partition(";")[0].strip().lower()
