"""Packages that are not installed here, in the shape in which the shields use them. The real ones are too large for
the tests of everybody; what they find is not what is tested with these."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

BANDIT = """
import json, sys
rows = []
for number, line in enumerate(sys.stdin.read().splitlines(), 1):
    if "shell=True" in line:
        rows.append({"test_name": "shell_true", "issue_severity": "HIGH", "line_range": [number]})
    if "assert" in line:
        rows.append({"test_name": "assert_used", "issue_severity": "LOW", "line_range": [number]})
print(json.dumps({"results": rows, "errors": []}))
sys.exit(bool(rows))
"""


def bandit(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A program of that name: it reports two kinds of lines as Bandit does."""
    package = folder / "bandit"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(BANDIT)
    patch.syspath_prepend(str(folder))
    patch.setenv("PYTHONPATH", str(folder))


def presidio(patch: pytest.MonkeyPatch) -> None:
    """An analyzer that knows one name."""

    class AnalyzerEngine:
        def __init__(self, **_: Any) -> None:
            pass

        def analyze(self, text: str, **_: Any) -> list[Any]:
            start = text.find("Ada Lovelace")
            row = SimpleNamespace(entity_type="PERSON", start=start, end=start + 12, score=0.85)
            return [row] if start >= 0 else []

    class NlpEngineProvider:
        def __init__(self, **_: Any) -> None:
            pass

        def create_engine(self) -> None:
            return None

    analyzer, engine = ModuleType("presidio_analyzer"), ModuleType("presidio_analyzer.nlp_engine")
    analyzer.__dict__.update(AnalyzerEngine=AnalyzerEngine, __spec__=SimpleNamespace(name="presidio_analyzer"))
    engine.__dict__.update(NlpEngineProvider=NlpEngineProvider)
    patch.setitem(sys.modules, "presidio_analyzer", analyzer)
    patch.setitem(sys.modules, "presidio_analyzer.nlp_engine", engine)
