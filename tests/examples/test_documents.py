"""The documents speak of what exists: links lead somewhere, files and functions that they name are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:libs|services|caravan|deploy|docs|scripts|tests)/[\w./-]+\.\w+)`((?:,? ?`\w+\.\w+`)*)")
FUNCTION = re.compile(r"`(\w+)\.(\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "docs/bus.md", "docs/configuration.md"])
def test_files_that_are_named_exist(name: str) -> None:
    named = PATH.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [path for path, _ in named if not (ROOT / path).exists()] == []


def functions_named(text: str) -> Iterator[tuple[Path, str, str]]:
    """(file, class, function) for each `file` `Class.function` of the text."""
    for path, functions in PATH.findall(text):
        for name, function in FUNCTION.findall(functions):
            yield ROOT / path, name, function


def test_the_way_of_a_request_names_functions_that_exist() -> None:
    named = list(functions_named((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    for path, name, function in named:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
        assert found, f"{path.relative_to(ROOT)} has no class {name}"
        members = [getattr(node, "name", "") for node in found[0].body]
        assert function in members, f"{path.relative_to(ROOT)}: {name} has no {function}"
