"""Real passages without a download, the source of the standard library and of the packages that are installed beside
it cut into pieces of some lines, and vectors of them that anyone can make again."""

from __future__ import annotations

import ast
import hashlib
import itertools
import math
import re
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_LINES = 12


def passages(most: int) -> list[tuple[str, str]]:
    """File and text of up to `most` passages: those of the standard library first, always the same ones."""
    return list(itertools.islice(_all(), most))


def _all() -> Iterator[tuple[str, str]]:
    paths = sysconfig.get_paths()
    seen: set[str] = set()
    for root in (Path(paths["stdlib"]), Path(paths["purelib"])):
        for path in _files(root):
            lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
            for at in range(0, len(lines), _LINES):
                text = "\n".join(lines[at : at + _LINES])
                if "\0" not in text and len(text) > 100 and text not in seen:
                    seen.add(text)
                    yield str(path.relative_to(root)), text


def hashed(text: str, dimension: int) -> list[float]:
    """The words of a text, each with its signs at a few places: texts that share words are near each other."""
    made = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for place, sign in _places(word):
            made[place % dimension] += sign
    return made if math.hypot(*made) > 0 else [1.0, *made[1:]]


@lru_cache(100_000)
def _places(word: str) -> list[tuple[int, float]]:
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=32).digest()
    return [(int.from_bytes(digest[at : at + 2], "big"), 1.0 if digest[at + 2] & 1 else -1.0) for at in range(0, 30, 3)]


def summaries(most: int) -> list[str]:
    """First sentences of docstrings in the standard library, spread over its files: what a function does, in words."""
    made: list[str] = []
    root = Path(sysconfig.get_path("stdlib"))
    for path in _files(root):
        if {"test", "tests", "lib2to3"} & set(path.parts):  # some cannot be parsed, and are not meant to be
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8", "replace"))):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                made.append(text.partition("\n\n")[0].replace("\n", " "))
    long_enough = [text for text in dict.fromkeys(made) if 5 <= len(text.split()) <= 20]
    return long_enough[:: max(1, len(long_enough) // most)][:most]


def _files(root: Path) -> Iterator[Path]:
    """Of `root`, but not of what is installed below it."""
    for path in sorted(root.rglob("*.py")):
        if not {"site-packages", "dist-packages", "__pycache__"} & set(path.relative_to(root).parts):
            yield path
