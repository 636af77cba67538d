"""``caravan shields``: what people and programs see of shields on the command line."""

from __future__ import annotations

import json

import pytest

from tests.mesh.running import RunningMesh

MAIL = "write to ada@example.org"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARAVAN_API_KEY", "key-root")


def test_shields_are_listed_and_shown(mesh: RunningMesh) -> None:
    assert "inline::llama-guard" in mesh.command("shields").stdout
    rows = json.loads(mesh.command("shields", "list", "--json").stdout)
    assert {"pii", "guard", "careful"} <= {row["identifier"] for row in rows}
    shown = mesh.command("shields", "show", "careful").stdout
    assert "params.shields" in shown and '["pii", "guard"]' in shown
    assert json.loads(mesh.command("shields", "show", "pii", "--json").stdout)["provider_type"] == "inline::pii"


def test_a_text_is_tried(mesh: RunningMesh) -> None:
    flagged = mesh.command("shields", "run", "pii", MAIL)
    assert flagged.returncode == 3, flagged.stderr
    assert "Flagged by pii: found: email" in flagged.stdout and "9" in flagged.stdout
    harmless = mesh.command("shields", "run", "pii", "hello")
    assert (harmless.returncode, harmless.stdout) == (0, "pii found nothing.\n")


def test_a_program_reads_json(mesh: RunningMesh) -> None:
    flagged = mesh.command("shields", "run", "pii", "--json", stdin=MAIL)
    assert flagged.returncode == 3, flagged.stderr
    assert json.loads(flagged.stdout)["metadata"]["findings"][0]["label"] == "email"
    assert json.loads(mesh.command("shields", "run", "pii", "hello", "--json").stdout) is None


def test_mistakes_are_told(mesh: RunningMesh) -> None:
    for arguments, status, says in (
        (["show", "none"], 1, "no shield 'none'"),
        (["run", "none", "hello"], 1, "no shield 'none'"),
        (["run", "pii", "hello", "--file", "x"], 2, "not both"),
        (["run", "pii", "--file", "/nowhere"], 2, "cannot be read"),
        (["run", "pii", "hello", "--role", "king"], 2, "none of user"),
    ):
        done = mesh.command("shields", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        assert says in done.stderr
