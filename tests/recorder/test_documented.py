"""What docs/recording.md tells a reader to copy works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/recording.md").read_text(), re.DOTALL)


def block(beginning: str) -> str:
    (found,) = (text for text in BLOCKS if text.startswith(beginning))
    return found


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_recipe_for_pytest_runs_against_the_file_made_by_hand(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(block("# conftest.py"))
    (tmp_path / "test_weather.py").write_text(block("# test_weather.py"))
    (tmp_path / "make.py").write_text(block("from caravan_recorder import cassette"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=110, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "complete {'model': 'gpt-4o-mini'" in python("make.py")
    assert "1 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".")
