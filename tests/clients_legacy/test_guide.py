"""Llama Stack's first text generation guide: as printed on generation 1, with `model_id` and a plain `for` on
generation 3. The printed programs are in scripts/guide.txt; their server is at port 5000."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.clients_legacy.environments import GUIDES_PORT, SCRIPTS, python
from tests.mesh.running import RunningMesh

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(300)]

_PROGRAMS = re.findall(r"^```python\n(.*?)^```", (SCRIPTS / "guide.txt").read_text(), re.DOTALL | re.MULTILINE)
POEM = "w0 w1 w2 w3"


def programs() -> dict[str, str]:
    """By what they show. The first is printed in two pieces."""
    first, asked, prompt, loop, history, stream = _PROGRAMS
    return {"chat": first + asked, "prompt": prompt, "loop": loop, "history": history, "stream": stream}


def adapted(program: str) -> str:
    """For generation 3, whose EventLogger is no longer async and whose field is `model_id`."""
    return re.sub(r"^(\s+)model=", r"\1model_id=", program, flags=re.MULTILINE).replace("async for", "for")


def said(interpreter: str, program: str, folder: Path) -> str:
    script = folder / "program.py"
    script.write_text(program)
    command = [interpreter, "-W", "ignore", str(script)]
    done = subprocess.run(
        command, input="one\ntwo\nbye\n", capture_output=True, text=True, timeout=140, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[\d*m", "", done.stdout)


@pytest.mark.parametrize("name", ["chat", "prompt", "loop", "history", "stream"])
@pytest.mark.parametrize("client", ["llama-stack-client-0.0.50", "llama-stack-client-0.1.9"])
def test_the_guide_runs(client: str, name: str, mesh: RunningMesh, tmp_path: Path) -> None:
    if not mesh.url.endswith(f":{GUIDES_PORT}"):
        pytest.skip(f"port {GUIDES_PORT}, at which the guide's server is, is taken on this machine")
    interpreter = python(client)
    program = programs()[name] if client.endswith("0.0.50") else adapted(programs()[name])
    printed = said(interpreter, program, tmp_path)
    if name in ("chat", "prompt"):
        assert printed == f"{POEM} \n"
    elif name == "stream":
        assert f"Assistant> {POEM} \n" in printed
        assert "Llama3.2-11B-Vision-Instruct" in printed.rpartition("Assistant>")[2]
    else:
        assert printed == f"User> > Response: {POEM} \nUser> > Response: {POEM} \nUser> Ending conversation. Goodbye!\n"
        sent = [len(asked.body["messages"]) for asked in mesh.upstream.asked("plain")[-2:]]
        assert sent == ([1, 3] if name == "history" else [1, 1])
