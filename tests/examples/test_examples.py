"""Every example, run as its reader runs it, against a mesh of real processes."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients_legacy import environments
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import USAGE

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = EXAMPLES / "e04_internal_service_node"
needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs Node.js")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def words(count: int) -> str:
    """What the scripted upstream says when it is asked for `count` tokens."""
    return "".join(f"w{i} " for i in range(count))


def run(environment: dict[str, str], *command: str, folder: Path = EXAMPLES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110)


def python(environment: dict[str, str], name: str) -> subprocess.CompletedProcess[str]:
    return run(environment, sys.executable, name)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node example with its dependencies, outside the tree."""
    folder = tmp_path_factory.mktemp("node") / "example"
    shutil.copytree(NODE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "install", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_openai_client_prints_the_answer(environment: dict[str, str]) -> None:
    done = python(environment, "e01_openai_client.py")
    assert (done.stdout, done.returncode) == (f"{words(60)}\n", 0), done.stderr


def test_the_openai_client_prints_the_stream_and_its_usage(environment: dict[str, str]) -> None:
    done = python(environment, "e02_streaming.py")
    cost = f"({USAGE['prompt_tokens']} tokens in, {USAGE['completion_tokens']} out)"
    assert (done.stdout, done.returncode) == (f"{words(120)}\n{cost}\n", 0), done.stderr


def test_prompts_are_chained_over_responses(environment: dict[str, str]) -> None:
    done = python(environment, "e06_prompt_chaining.py")
    lines = [f"{name}: {words(80)}" for name in ("extracted", "transformed", "in words")]
    assert (done.stdout.splitlines(), done.returncode) == (lines, 0), done.stderr


def test_a_file_is_uploaded_found_read_and_forgotten(environment: dict[str, str]) -> None:
    done = python(environment, "e12_files.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "log.txt: 2188895 bytes, kept for 3600 s",
        "it is the newest one: True",
        "its last lines:",
        "  line 99999 of the log",
        "  line 100000 of the log",
        "forgotten: True",
    ]


def test_a_program_for_llama_stack_runs(environment: dict[str, str]) -> None:
    interpreter = environments.python("llama-stack-client-0.2.12")
    done = run(environment, interpreter, "-W", "ignore", "e14_llama_stack.py")
    assert done.returncode == 0, done.stderr
    first, streamed, models = done.stdout.splitlines()
    assert (first, streamed) == (words(60), f"Assistant> {words(60)}")
    assert "up/plain" in models


def test_questions_are_answered_from_a_vector_store(environment: dict[str, str]) -> None:
    done = python(environment, "e13_vector_stores.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "completed: 3 of 3 files",
        "What may a hotel cost? -> travel.md",
        "When is a laptop replaced? -> laptops.md",
        "How many days of holidays do I have? -> holidays.md",
        "without what is about money: holidays.md laptops.md",
        "forgotten: True",
    ]


@pytest.mark.parametrize(("route", "prompt"), [("billing", "invoices"), ("technical", "engineer"), ("x", "sentence")])
def test_a_classified_question_goes_to_whom_it_concerns(
    environment: dict[str, str], mesh: RunningMesh, route: str, prompt: str
) -> None:
    question = f'say {{"route":"{route}"}}'
    models = {"CARAVAN_MODEL": "up/agent", "CARAVAN_EXPERT_MODEL": "up/plain"}
    done = run(environment | models, sys.executable, "e07_routing.py", question)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"route: {route if route != 'x' else 'other'}"
    asked = [request.body for request in mesh.upstream.requests[-2:]]
    assert asked[0]["response_format"]["json_schema"]["name"] == "route"
    assert asked[1]["model"] == ("plain" if route == "technical" else "agent")
    assert prompt in asked[1]["messages"][0]["content"] and asked[1]["messages"][1]["content"] == question


def test_views_are_asked_for_at_once_and_brought_together(environment: dict[str, str], mesh: RunningMesh) -> None:
    done = python(environment, "e08_parallel.py")
    names = ("customers", "engineers", "management", "together")
    assert (done.stdout.splitlines(), done.returncode) == ([f"{name}: {words(80)}" for name in names], 0), done.stderr
    assert mesh.upstream.requests[-1].body["messages"][1]["content"].count(words(80)) == 3


def test_a_python_service_reads_the_stream_from_the_bus(environment: dict[str, str]) -> None:
    done = python(environment, "e03_internal_service.py")
    assert (done.stdout, done.returncode) == (f"{words(60)}\n", 0), done.stderr


@needs_node
def test_a_node_service_reads_the_stream_from_the_bus(environment: dict[str, str], node_folder: Path) -> None:
    done = run(environment, "npm", "start", "--silent", folder=node_folder)
    assert (done.stdout, done.returncode) == (f"{words(60)}\n", 0), done.stderr
    assert not list(node_folder.glob("*lock*")), "a lock file would name a registry"


def test_the_client_over_the_bus_prints_the_stream_and_the_answer(
    environment: dict[str, str], mesh: RunningMesh
) -> None:
    nothing = {name: value for name, value in environment.items() if not name.startswith("NATS_")}
    data = {"CARAVAN_DATA_DIR": str(mesh.folder / "data")}
    for settings in (environment, nothing | data):
        done = python(settings, "e05_bus_client.py")
        assert (done.stdout, done.returncode) == (f"{words(60)}\n{words(5)}\n", 0), done.stderr
    done = python(environment | {"CARAVAN_MODEL": "plane"}, "e05_bus_client.py")
    assert done.returncode == 1
    assert "The model 'plane' does not exist." in done.stderr


@pytest.mark.parametrize("name", ["e09_background_run.py", "e09_background_run_plain.py"])
def test_a_service_has_work_done_in_the_background(environment: dict[str, str], name: str) -> None:
    done = python(environment, name)
    ended = f"ended: completed with {USAGE['completion_tokens']} tokens"
    lines = done.stdout.splitlines()
    assert (lines[0] in ("started: queued", "started: in_progress"), lines[1:]) == (True, [words(60), ended]), (
        done.stdout + done.stderr
    )
    failed = python(environment | {"CARAVAN_MODEL": "plane"}, name)
    assert failed.returncode == 1
    assert failed.stderr.startswith("ended: failed: The model 'plane' does not exist.")


def test_an_agent_calls_the_tools_of_its_mcp_server(environment: dict[str, str]) -> None:
    plan = 'warehouse__on_hand {"item":"chairs"} ; warehouse__order {"item":"chairs","count":6}'
    done = run(environment | {"CARAVAN_MODEL": "up/agent"}, sys.executable, "e10_mcp_agent.py", plan)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition("(")[0] for line in lines[:2]] == ["on_hand", "order"]
    assert [line.partition(" -> ")[2] for line in lines[:2]] == ["4 chairs", "6 chairs ordered"]
    assert "6 chairs ordered" in lines[-1]


def test_an_agent_whose_server_may_not_be_reached_says_what_to_do(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    done = python(environment | {"CARAVAN_EXAMPLE_MCP_PORT": port}, "e10_mcp_agent.py")
    assert done.returncode == 1
    assert f"CARAVAN_AGENTS_ALLOWED_HOSTS=127.0.0.1:{port} make up" in done.stderr


def test_a_run_is_read_on_by_another_process(environment: dict[str, str]) -> None:
    slow = environment | {"CARAVAN_MODEL": "up/slow-20"}
    first = python(slow, "e11_resume.py")
    assert first.returncode == 0, first.stderr
    begun, place = first.stdout.splitlines()
    rest = run(slow, sys.executable, "e11_resume.py", *place.split())
    assert rest.returncode == 0, rest.stderr
    assert begun + rest.stdout == f"{words(60)}\n"


def test_a_python_service_is_told_of_a_model_that_does_not_exist(environment: dict[str, str]) -> None:
    done = python(environment | {"CARAVAN_MODEL": "plane"}, "e03_internal_service.py")
    assert done.returncode == 1
    assert "The model 'plane' does not exist." in done.stderr
    assert done.stdout == ""


@needs_node
def test_a_node_service_is_told_of_a_model_that_does_not_exist(environment: dict[str, str], node_folder: Path) -> None:
    done = run(environment | {"CARAVAN_MODEL": "plane"}, "node", "main.mjs", folder=node_folder)
    assert done.returncode == 1
    assert "The model 'plane' does not exist." in done.stderr
    assert done.stdout == ""


@pytest.mark.chaos
def test_a_service_is_told_when_the_bus_lost_a_part_of_its_answer(
    environment: dict[str, str], mesh: RunningMesh
) -> None:
    """Plain messages have no numbers, so what NATS loses is lost: but never behind an answer that looks whole."""
    command = [sys.executable, str(EXAMPLES / "e03_internal_service.py")]
    slow = environment | {"CARAVAN_MODEL": "up/slow-100"}
    with subprocess.Popen(command, env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(3) == "w0 "
        mesh.kill9("nats")
        _, told = asked.communicate(timeout=90)
    assert asked.returncode == 1
    assert told.splitlines()[-1] == "the bus was gone for a while: parts of the answer are missing; ask again"


@contextmanager
def asked_from_node(environment: dict[str, str], folder: Path, model: str) -> Iterator[subprocess.Popen[str]]:
    settings = environment | {"CARAVAN_MODEL": model}
    command = ["node", "main.mjs"]
    with subprocess.Popen(
        command, cwd=folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asked:
        yield asked


@needs_node
@pytest.mark.chaos
@pytest.mark.long
def test_a_node_service_does_not_notice_a_worker_that_dies_before_the_first_token(
    environment: dict[str, str], mesh: RunningMesh, node_folder: Path
) -> None:
    count = len(mesh.upstream.asked("slow-400"))
    with asked_from_node(environment, node_folder, "up/slow-400") as asked:
        mesh.until(lambda: len(mesh.upstream.asked("slow-400")) > count)
        mesh.kill9("inference")
        printed, told = asked.communicate(timeout=90)
    assert (printed, asked.returncode) == (f"{words(60)}\n", 0), told


@needs_node
@pytest.mark.chaos
def test_a_node_service_is_told_of_a_worker_that_dies_in_mid_stream(
    environment: dict[str, str], mesh: RunningMesh, node_folder: Path
) -> None:
    mesh.until(lambda: "up/plain" in mesh.model_ids() and mesh.all_ready(), 30)
    with asked_from_node(environment, node_folder, "up/slow-100") as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(3) == "w0 "
        began = time.monotonic()
        mesh.kill9("inference")
        printed, told = asked.communicate(timeout=90)
    assert time.monotonic() - began < 5
    assert (told, asked.returncode) == ("the worker died; what was sent so far is incomplete\n", 1)
    assert words(60).startswith("w0 " + printed)


@needs_node
@pytest.mark.chaos
@pytest.mark.long
def test_a_node_service_gets_every_token_once_over_a_killed_nats(
    environment: dict[str, str], mesh: RunningMesh, node_folder: Path
) -> None:
    mesh.until(mesh.all_ready)
    with asked_from_node(environment, node_folder, "up/slow-100") as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(3) == "w0 "
        mesh.kill9("nats")
        printed, told = asked.communicate(timeout=90)
    assert ("w0 " + printed, asked.returncode) == (f"{words(60)}\n", 0), told


@needs_node
@pytest.mark.chaos
@pytest.mark.long
def test_a_node_service_that_is_killed_frees_its_upstream(
    environment: dict[str, str], mesh: RunningMesh, node_folder: Path
) -> None:
    mesh.until(mesh.all_ready)
    with asked_from_node(environment, node_folder, "up/slow-400") as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(3) == "w0 "
        asked.kill()
    mesh.until(lambda: mesh.upstream.open == 0, 12)


def test_every_example_is_run_here_and_told_of_in_the_readme() -> None:
    tested = Path(__file__).read_text() + NODE.name
    readme = (EXAMPLES / "README.md").read_text()
    found = sorted(path.name for path in EXAMPLES.iterdir() if re.match(r"e\d\d_", path.name))
    assert len(found) >= 5
    assert [name for name in found if name not in tested or name not in readme] == []
