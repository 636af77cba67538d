"""Workbooks: each sheet's rows as lines, by openpyxl, which reads them as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any
from zipfile import BadZipFile

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.formats.packed import unpacked
from caravan_vector.parsing.formats.rows import joined
from caravan_vector.parsing.pieces import Piece, Place


def read(document: Opened) -> Iterator[Piece]:
    """Values as they were last computed; hidden sheets too. Empty rows and charts are left out."""
    with unpacked(document):
        pass
    document.file.seek(0)
    load_workbook = _loader()
    try:
        workbook = load_workbook(document.file, read_only=True, data_only=True, keep_links=False)
    except (BadZipFile, KeyError, ValueError) as error:
        raise InvalidFile(f"the workbook cannot be opened: {error}") from error
    sheets = workbook.worksheets
    document.count_pages(len(sheets), "sheets")
    for sheet in sheets:
        place = Place(sheet=str(sheet.title))
        sheet.reset_dimensions()  # what a sheet says about its size may be anything
        yield Piece(f"{sheet.title}\n", place)
        for row in sheet.iter_rows(values_only=True):
            if line := joined("" if value is None else str(value) for value in row):
                yield Piece(line + "\n", place)
        yield Piece("\n", place)


def _loader() -> Callable[..., Any]:
    """openpyxl's; it loads numpy where there is one, threads and all, to do nothing with it here."""
    numpy = sys.modules.get("numpy")
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        from openpyxl import load_workbook
    finally:
        if numpy is None:
            del sys.modules["numpy"]
        else:
            sys.modules["numpy"] = numpy
    loader: Callable[..., Any] = load_workbook
    return loader
