"""Text in pictures, by PP-OCR's models on onnxruntime (`rapidocr`), which the extra `ocr` brings.

The engine is loaded with the first page that needs it, and stays for the worker's other documents.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.opened import Opened

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 2000
"""Pixels of a picture's longer side: it is made smaller before it is read. A4 has 170 dots per inch then."""
DETECTED_SIDE = 1280
"""The same, of the picture in which lines are looked for; they are read from the larger one."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""Each thread of these libraries takes address space, which is bounded, and they have one for each core."""
M_MMAP_THRESHOLD = -3
"""glibc's name for what `mallopt` sets."""
LARGE = 8 * 1024 * 1024
"""Bytes from which memory is given back to the kernel at once: kept for later, it would fill the address space."""
Points = Sequence[Sequence[float]]
"""The corners of a box as (x, y): left top, right top, right bottom, left bottom."""


class Reader:
    """Reads the pictures of one document, no more of them than are allowed."""

    def __init__(self, document: Opened) -> None:
        self._document = document
        self._pages = 0

    def lines(self, picture: Image) -> Iterator[str]:
        """The lines of one page from top to bottom. Raises InvalidFile for a page too many."""
        most = self._document.limits.ocr_pages
        if self._pages >= most:
            raise InvalidFile(f"the document has more than {most} pages that only OCR can read", bound="ocr_pages")
        self._pages += 1
        self._document.more_time()
        found = _recognized(picture)
        if found.boxes is not None:
            yield from in_lines(zip(found.boxes.tolist(), found.txts, strict=True))


def in_lines(found: Iterable[tuple[Points, str]]) -> list[str]:
    """Boxes that stand beside each other make one line, from left to right."""
    lines: list[list[tuple[float, str]]] = []
    middle = reach = 0.0
    for points, text in sorted(found, key=lambda item: _middle(item[0])):
        if not lines or _middle(points) - middle > min(reach, _height(points) / 2):
            lines.append([])
            middle, reach = _middle(points), _height(points) / 2
        lines[-1].append((points[0][0], text.strip()))
    return [" ".join(text for _, text in sorted(line)) for line in lines]


def _middle(points: Points) -> float:
    return sum(y for _, y in points) / len(points)


def _height(points: Points) -> float:
    return (points[3][1] - points[0][1] + points[2][1] - points[1][1]) / 2


def _recognized(picture: Image) -> Any:
    """rapidocr's output. Its errors are those of the libraries below it, without a common base."""
    engine = _engine()
    try:
        return engine(picture)
    except Exception as error:
        if "bad_alloc" in str(error) or "Insufficient memory" in str(error):
            raise MemoryError from error
        raise InvalidFile(f"OCR failed over the picture ({type(error).__name__})") from error


@cache
def _engine() -> Any:
    os.environ.update(ONE_THREAD, ORT_DISABLE_TELEMETRY="1")  # before these libraries are imported
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    settings = {
        "Global.log_level": "critical",
        "Global.max_side_len": SIDE,
        "Global.use_cls": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),  # named, or it would look whether to download
        "Det.limit_type": "max",
        "Det.limit_side_len": DETECTED_SIDE,
        "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
        "Rec.rec_batch_num": 1,  # as quick as several lines at once, in less memory
    }
    return rapidocr.RapidOCR(params=settings)
