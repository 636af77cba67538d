"""A launcher that is killed leaves nothing behind, and the next one starts on the same folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from caravan.runtime import Infrastructure, state
from tests.runtime.waiting import alive, eventually, processes_of

LAUNCHER = """
import asyncio, sys
from caravan.runtime import Infrastructure

async def main():
    async with Infrastructure(sys.argv[1]):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def launch(folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LAUNCHER, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
    return process


async def test_kill_9_of_the_launcher_leaves_no_orphan_and_no_obstacle(tmp_path: Path) -> None:
    launcher = await launch(tmp_path)
    written = state.running(state_dir := Infrastructure(tmp_path).data)
    assert written
    children = [child.pid for child in written.children if child.pid]
    assert len(children) == 3

    launcher.kill()
    await launcher.wait()
    assert state.running(state_dir) is None  # at once, although the state file still says "ready"

    async with Infrastructure(tmp_path) as again:  # waits for what is still ending
        assert not any(alive(pid) for pid in children)
        assert again.ports.given == written.ports
    await eventually(lambda: not processes_of(tmp_path))


async def test_children_end_by_themselves_when_the_launcher_is_killed(tmp_path: Path) -> None:
    launcher = await launch(tmp_path)
    assert len(processes_of(tmp_path)) >= 3
    launcher.kill()
    await launcher.wait()
    await eventually(lambda: not processes_of(tmp_path))
