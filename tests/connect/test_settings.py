"""What each tool is told, and that nothing else in its file changes."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from caravan.connecting import files
from caravan.connecting.base import CannotMerge, Target
from caravan.connecting.tools import TOOLS

OPEN = Target("http://127.0.0.1:8321", "local/talker", "local/small", ("local/talker", "local/small"), keyed=False)
KEYED = Target("https://ai.example", "my model", "my model", ("my model",), keyed=True)
FILES = [name for name in TOOLS if name != "env"]


def test_claude_code() -> None:
    assert json.loads(TOOLS["claude"].fragment(OPEN)) == {
        "env": {
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:8321",
            "ANTHROPIC_MODEL": "local/talker",
            "ANTHROPIC_DEFAULT_OPUS_MODEL": "local/talker",
            "ANTHROPIC_DEFAULT_SONNET_MODEL": "local/talker",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "local/small",
            "ANTHROPIC_AUTH_TOKEN": "none",
        }
    }
    there = '{"theme": "dark", "env": {"DEBUG": "1"}, "permissions": {"allow": ["Bash"]}}'
    made = json.loads(TOOLS["claude"].merged(there, OPEN))
    assert made["theme"] == "dark" and made["permissions"] == {"allow": ["Bash"]}
    assert made["env"]["DEBUG"] == "1" and made["env"]["ANTHROPIC_AUTH_TOKEN"] == "none"
    with_key = json.loads(TOOLS["claude"].merged(json.dumps(made), KEYED))
    assert with_key["apiKeyHelper"] == "printenv CARAVAN_API_KEY"
    assert "ANTHROPIC_AUTH_TOKEN" not in with_key["env"]


CODEX = """# mine
model = "gpt-x"
approval_policy = "on-request"  # always

[model_providers.caravan]
base_url = "http://old"

[model_providers.other]
name = "Other"
base_url = "https://other.example/v1"

[tui]
theme = "dark"
"""


def test_codex() -> None:
    made = TOOLS["codex"].merged(CODEX, OPEN)
    read = tomllib.loads(made)
    assert (read["model"], read["model_provider"]) == ("local/talker", "caravan")
    assert read["model_providers"]["caravan"] == {
        "name": "Caravan",
        "base_url": "http://127.0.0.1:8321/v1",
        "wire_api": "responses",
    }
    assert read["model_providers"]["other"]["name"] == "Other" and read["tui"] == {"theme": "dark"}
    assert "# mine" in made and "# always" in made
    keyed = tomllib.loads(TOOLS["codex"].fragment(KEYED))
    assert keyed["model_providers"]["caravan"]["env_key"] == "CARAVAN_API_KEY"


def test_opencode() -> None:
    made = json.loads(TOOLS["opencode"].merged('{"provider": {"other": {"name": "o"}}, "theme": "x"}', OPEN))
    assert made["model"] == "caravan/local/talker" and made["small_model"] == "caravan/local/small"
    assert made["provider"]["other"] == {"name": "o"} and made["theme"] == "x"
    assert made["provider"]["caravan"]["options"] == {"baseURL": "http://127.0.0.1:8321/v1", "apiKey": "none"}
    assert list(made["provider"]["caravan"]["models"]) == ["local/talker", "local/small"]
    keyed = json.loads(TOOLS["opencode"].fragment(KEYED))
    assert keyed["provider"]["caravan"]["options"]["apiKey"] == "{env:CARAVAN_API_KEY}"


def test_aider() -> None:
    made = TOOLS["aider"].merged("# mine\nmodel: gpt-x\ndark-mode: true\n", OPEN)
    assert yaml.safe_load(made) == {
        "dark-mode": True,
        "openai-api-base": "http://127.0.0.1:8321/v1",
        "model": "openai/local/talker",
        "weak-model": "openai/local/small",
        "openai-api-key": "none",
    }
    assert made.startswith("# mine\n")
    assert "openai-api-key" not in yaml.safe_load(TOOLS["aider"].merged(made, KEYED))


@pytest.mark.parametrize(
    "there",
    [
        "name: Mine\nversion: 1.0.0\nschema: v1\n",
        "name: Mine\nversion: 1.0.0\nschema: v1\nmodels: []\n",
        "name: Mine\nmodels:\n  # the first\n  - name: other\n    provider: ollama\nrules:\n  - be brief\n",
        "name: Mine\nmodels:\n- name: other\n  provider: ollama\n",
    ],
)
def test_continue(there: str) -> None:
    before = yaml.safe_load(there)
    first, *others = (read := yaml.safe_load(TOOLS["continue"].merged(there, OPEN)))["models"]
    assert first == {
        "name": "Caravan: local/talker",
        "provider": "openai",
        "model": "local/talker",
        "apiBase": "http://127.0.0.1:8321/v1",
        "apiKey": "none",
        "roles": ["chat", "edit", "apply"],
    }
    assert others == (before.get("models") or [])
    assert {**read, "models": None} == {**before, "models": None}


def test_a_shell_reads_the_variables(tmp_path: Path) -> None:
    script = TOOLS["env"].fragment(KEYED) + 'printf "%s|" "$OPENAI_MODEL" "$ANTHROPIC_AUTH_TOKEN" "$ANTHROPIC_API_KEY"'
    environment = {**os.environ, "CARAVAN_API_KEY": "k e'y", "ANTHROPIC_API_KEY": "theirs"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, timeout=20, check=True)
    assert done.stdout == "my model|k e'y||"
    assert "OPENAI_BASE_URL=https://ai.example/v1\n" in TOOLS["env"].fragment(KEYED)


@pytest.mark.parametrize("name", FILES)
def test_the_second_time_nothing_changes(name: str) -> None:
    for target in (OPEN, KEYED):
        once = TOOLS[name].merged("", target)
        assert TOOLS[name].merged(once, target) == once
    changed, fresh = TOOLS[name].merged(TOOLS[name].merged("", OPEN), KEYED), TOOLS[name].merged("", KEYED)
    assert sorted(changed.replace(",", "").splitlines()) == sorted(fresh.replace(",", "").splitlines())


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("claude", "{ // a comment\n}"),
        ("opencode", "[]"),
        ("codex", "model = "),
        ("codex", 'note = """\nmodel = "inside"\n"""\n'),
        ("codex", 'model_providers = {caravan = {name = "x"}}'),
        ("aider", "just words"),
        ("aider", "note: |\n  x\nmodel:\n  - a\n"),
        ("continue", "models: {a: 1}"),
        ("continue", "models: [{name: a}]"),
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(name: str, there: str) -> None:
    with pytest.raises(CannotMerge, match=f"Nothing was changed.*caravan connect {name}"):
        TOOLS[name].merged(there, OPEN)


def test_a_file_is_replaced_and_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "settings.json", tmp_path / "settings.json"
    assert files.replace(real, "one\n") is None
    assert real.stat().st_mode & 0o077 == 0
    real.chmod(0o644)
    link.symlink_to(real)
    backup, second = files.replace(link, "two\n"), files.replace(link, "three\n")
    assert backup is not None and second is not None and backup != second
    assert (backup.read_text(), second.read_text(), real.read_text()) == ("one\n", "two\n", "three\n")
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o644
    assert "-one" in files.difference(real, "one\n", "two\n") and not files.difference(real, "x", "x")
