"""On the path of a mesh, this puts the clocks of its agents services wrong: the first one's is an hour ahead, those of
the others an hour behind. Whoever has it says so in `CARAVAN_TEST_CLOCKS`, a folder."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_HOUR = 3600.0


def _off(folder: Path) -> float:
    try:
        (folder / "ahead").open("x").close()
    except FileExistsError:
        return -_HOUR
    return _HOUR


if "caravan_agents" in sys.orig_argv and "CARAVAN_TEST_CLOCKS" in os.environ:
    _right, _wrong = time.time, _off(Path(os.environ["CARAVAN_TEST_CLOCKS"]))
    time.time = lambda: _right() + _wrong
