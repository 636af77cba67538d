"""Shields and guardrails of a stack file."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from caravan_contracts.safety import Action, OnFailure, Stage
from caravan_registry import stack
from caravan_registry.stack import StackError
from caravan_registry.stack.schema import json_schema

OURS = """
shields:
  - {id: pii, type: inline::pii, params: {entities: [email]}}
  - {id: guard, type: inline::llama-guard, model: ollama/llama-guard3}
  - {id: "${env.GUARD_KEY:+openai}", type: remote::openai-moderation, params: {api_key: "${env.GUARD_KEY}"}}
guardrails:
  - id: strict
    checks:
      - {stages: [input, output], shields: [guard, "${env.GUARD_KEY:+openai}"], on_failure: open}
      - {stages: [output], shields: ["${env.GUARD_KEY:+openai}"], action: mask}
    models: ["openai/*"]
"""
THEIRS = """
version: 2
registered_resources:
  shields:
  - shield_id: llama-guard
    provider_id: llama-guard
    provider_shield_id: ollama/llama-guard3:8b
"""


def read(folder: Path, text: str, **environ: str) -> stack.Stack:
    path = folder / "caravan.yaml"
    path.write_text(text)
    return stack.load(path, environ)


def test_what_the_environment_leaves_empty_is_left_out(tmp_path: Path) -> None:
    made = read(tmp_path, OURS)
    assert list(made.shields) == ["pii", "guard"]
    assert made.shields["pii"].params == {"entities": ["email"]}
    assert made.shields["guard"].provider_shield_id == "ollama/llama-guard3"
    [check] = made.guardrails["strict"].checks
    assert check.stages == [Stage.INPUT, Stage.OUTPUT]
    assert check.shields == ["guard"]
    assert (check.action, check.on_failure) == (Action.BLOCK, OnFailure.OPEN)


def test_secrets_of_shields_stay_references(tmp_path: Path) -> None:
    made = read(tmp_path, OURS, GUARD_KEY="sk-1")
    assert made.shields["openai"].params == {"api_key": "${env.GUARD_KEY}"}
    assert len(made.guardrails["strict"].checks) == 2
    assert "sk-1" not in str(stack.effective(tmp_path / "caravan.yaml", {"GUARD_KEY": "sk-1"}))


def test_what_is_shown_reads_as_the_same(tmp_path: Path) -> None:
    made = read(tmp_path, OURS)
    again = yaml.safe_dump(stack.effective(tmp_path / "caravan.yaml", {}))
    shown = read(tmp_path, again)
    assert (shown.shields, shown.guardrails) == (made.shields, made.guardrails)


def test_shields_of_llama_stack_s_files_are_read(tmp_path: Path) -> None:
    made = read(tmp_path, THEIRS).shields["llama-guard"]
    assert (made.provider_type, made.provider_shield_id) == ("inline::llama-guard", "ollama/llama-guard3:8b")


@pytest.mark.parametrize("text", [OURS, THEIRS])
def test_the_schema_takes_what_the_reader_takes(text: str) -> None:
    jsonschema.validate(yaml.safe_load(text), json_schema())


def test_the_starter_has_light_shields_and_no_guardrail() -> None:
    made = stack.load("starter", {})
    assert {spec.provider_type for spec in made.shields.values()} == {
        "inline::pii",
        "inline::secrets",
        "inline::injection-rules",
    }
    assert not made.guardrails


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shields: [{type: inline::pii}]", "needs an id"),
        ("shields: [{id: a}]", "provider_type"),
        ("shields: [{id: a, type: pii}]", "inline::pii"),
        ("shields: [{id: a, type: inline::pii, parms: {}}]", "no key 'parms'"),
        ("shields: [{id: a, type: inline::pii}, {id: a, type: inline::pii}]", "stands here twice"),
        ("shields: [{id: a, type: remote::webhook, params: {secret: written out}}]", "a secret is written out"),
        ("guardrails: [{id: g, checks: [{stages: [input], shields: [none]}]}]", "'none' is none of this file"),
        ("guardrails: [{id: g, checks: [{stages: [inputs], shields: [a]}]}]", "checks.0.stages"),
        ("guardrails: [{id: g, checks: []}]", "checks"),
        ('guardrails: [{id: "a,b", checks: [{stages: [input], shields: [a]}]}]', "without commas"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(StackError) as caught:
        read(tmp_path, f"# a comment\n{text}\n")
    [first, *_] = caught.value.problems
    assert any(says in problem.message for problem in caught.value.problems), caught.value.problems
    assert first.line == 2
