"""The stack file: what it may say, and how it tells what is wrong."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from caravan_contracts.registry import ModelType
from caravan_registry import stack
from caravan_registry.stack import StackError
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "caravan.yaml"
        path.write_text(text)
        return path

    return write


OURS = """
providers:
  - id: openai
    type: remote::openai
    slots: 8
    config:
      api_key: ${env.OPENAI_API_KEY}
      base_url: ${env.BASE:=http://localhost:9/v1}
      timeouts: {read: "${env.READ:=30}"}
models:
  - id: house
    provider: openai
    provider_model_id: gpt-4o-mini
    type: llm
    aliases: [fast, "gpt"]
    metadata: {context_length: 128000}
"""

THEIRS = """
version: 2
distro_name: mine
apis: [inference, safety]
providers:
  inference:
  - provider_id: ${env.OLLAMA_URL:+ollama}
    provider_type: remote::ollama
    config:
      url: ${env.OLLAMA_URL}
  - provider_id: vllm
    provider_type: remote::vllm
    config:
      url: ${env.VLLM_URL:=http://localhost:8000/v1}
      max_tokens: ${env.VLLM_MAX_TOKENS:=4096}
      api_token: ${env.VLLM_API_TOKEN:=fake}
      tls_verify: ${env.VLLM_TLS_VERIFY:=true}
  safety:
  - provider_id: llama-guard
    provider_type: inline::llama-guard
registered_resources:
  models:
  - metadata: {embedding_dimension: 768}
    model_id: nomic
    provider_id: vllm
    provider_model_id: nomic-embed-text
    model_type: embedding
  - model_id: ${env.EXTRA_MODEL:=}
    provider_id: vllm
  shields: []
server: {port: 8321}
"""


def test_our_own_layout(written) -> None:
    made = stack.load(written(OURS), {})
    assert made.providers["openai"].config == {
        "api_key": "${env.OPENAI_API_KEY}",
        "base_url": "http://localhost:9/v1",
        "timeouts": {"read": 30},
    }
    assert made.providers["openai"].slots == 8
    house = made.models["house"]
    assert (house.provider_id, house.provider_resource_id, house.aliases) == ("openai", "gpt-4o-mini", ["fast", "gpt"])


def test_the_incumbents_layout(written) -> None:
    path = written(THEIRS)
    made = stack.load(path, {})
    assert list(made.providers) == ["vllm"]
    assert made.providers["vllm"].config == {
        "url": "http://localhost:8000/v1",
        "max_tokens": 4096,
        "api_token": "${env.VLLM_API_TOKEN:=fake}",
        "tls_verify": True,
    }
    assert made.models["nomic"].model_type is ModelType.EMBEDDING
    assert list(made.models) == ["nomic"]
    problems = stack.check(path, {"OLLAMA_URL": "http://localhost:11434/v1"})
    assert {problem.severity for problem in problems} == {"warning"}
    assert [problem.line for problem in problems] == [3, 4, 18, 31]


def test_a_provider_without_an_id_is_named_after_its_type(written) -> None:
    made = stack.load(written("providers:\n  inference:\n    - provider_type: remote::openai\n"), {})
    assert list(made.providers) == ["openai"]


@pytest.mark.parametrize("value", ["", "__disabled__", "${env.NONE:+x}", "${env.NONE:=__disabled__}"])
def test_a_provider_whose_id_is_empty_is_left_out_with_all_it_needs(written, value: str) -> None:
    text = f"""
providers:
  - id: "{value}"
    type: remote::openai
    config: {{api_key: "${{env.MISSING}}", base_url: "${{env.MISSING}}"}}
models:
  - {{id: m, provider: openai}}
"""
    made = stack.load(written(text), {})
    assert made.providers == {}
    assert made.models == {}


def test_nothing_at_all_is_a_stack_too(written) -> None:
    assert stack.load(written(""), {}).providers == {}
    assert stack.load(written("providers:\nmodels:\n"), {}).models == {}


def test_a_date_is_a_word(written) -> None:
    text = "providers: [{id: a, type: remote::azure, config: {api_version: 2024-06-01}}]"
    assert stack.load(written(text), {}).providers["a"].config == {"api_version": "2024-06-01"}


def test_every_mistake_is_told_with_its_line(written) -> None:
    text = """
providrs: []
providers:
  - id: a
    type: openai
    slots: 0
  - id: a b
    type: remote::openai
    confg: {}
  - id: c
    type: remote::vllm
    config:
      base_url: ${env.MISSING}
      api_key: sk-12345
      headers:
        Authorization: Bearer sk-123
  - id: c
    type: remote::vllm
  - type: remote::vllm
    config: {base_url: localhost:8000, token: "${env.lower}"}
models:
  - id: m
    provider: d
  - provider: c
  - {id: n, provider: c, type: lmm}
  - just text
"""
    problems = stack.check(written(text), {})
    assert [problem.line for problem in problems if problem.severity == "error"] == sorted(
        problem.line for problem in problems if problem.severity == "error"
    )
    told = {(problem.line, problem.message) for problem in problems}
    expected = {
        2: "Did you mean 'providers'?",
        5: "should look like remote::openai",
        6: "slots should be a whole number",
        7: "the provider id 'a b'",
        9: "Did you mean 'config'?",
        13: "the environment variable MISSING is not set",
        14: "a secret is written out",
        16: "a secret is written out",
        20: "is no reference",
        23: "there is no provider 'd'",
        24: "a model needs an id",
        25: "Did you mean 'llm'?",
        26: "a model should be a mapping",
    }
    for line, message in expected.items():
        assert any(at == line and message in text for at, text in told), (line, message, sorted(told))
    with pytest.raises(StackError) as caught:
        stack.load(written(text), {})
    assert all(f":{line}: " in caught.value.message for line in expected)


def test_a_provider_that_stands_twice_is_told(written) -> None:
    [problem] = stack.check(written("providers:\n- {id: c, type: remote::vllm}\n- {id: c, type: remote::vllm}\n"), {})
    assert (problem.line, "stands here twice" in problem.message) == (3, True)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("providers: [", 1, "no YAML"),
        ("a: b: c", 1, "no YAML"),
        ("- 1", 1, "should be a mapping"),
        ("providers: 7", 1, "should be a list"),
        ("providers: []\nproviders: []", 2, "stands here twice"),
        ("providers: [{id: a, type: remote::x, config: !!python/name:os.system x}]", 1, "is no type"),
        ("providers: [{id: a, type: remote::x, config: {n: .nan}}]", 1, "no number"),
        ("providers:\n- {id: a, type: remote::x, config: {base_url: 'ftp://x'}}", 2, "is no URL"),
        ("version: 9", 1, "version should be"),
        ("a: &a [x, x, x]\nb: &b [*a, *a, *a]\nproviders: 1\n" + "\x00", 0, "no YAML"),
    ],
)
def test_what_is_no_stack_file_is_told_and_never_raises(written, text: str, line: int, message: str) -> None:
    problems = stack.check(written(text), {})
    assert any(message in problem.message for problem in problems), problems
    if line:
        assert line in [problem.line for problem in problems]


def test_aliases_cannot_fill_the_memory(written) -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    [problem] = stack.check(written(bomb), {})
    assert "too large" in problem.message
    deep = "providers: " + "[" * 3000 + "]" * 3000
    assert any("too deeply" in problem.message for problem in stack.check(written(deep), {}))


def test_a_file_that_is_not_there_names_the_ready_made_stacks() -> None:
    [problem] = stack.check("nowhere.yaml")
    assert "starter, openai, ollama, vllm" in problem.message
    with pytest.raises(StackError):
        stack.load("nowhere.yaml")


def test_what_is_shown_holds_no_secret_and_is_a_stack_again(written) -> None:
    shown = stack.effective(written(OURS), {"OPENAI_API_KEY": "sk-real"})
    text = yaml.safe_dump(shown)
    assert "sk-real" not in text
    assert stack.effective(written(text), {}) == shown


@pytest.mark.parametrize("name", stack.READY_MADE)
def test_ready_made_stacks_are_sound_and_follow_the_schema(name: str) -> None:
    assert stack.check(name, {}) == []
    assert stack.load(name, {}).providers
    text = (Path(stack.__file__).parent / "ready" / f"{name}.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), stack.json_schema())


def test_starter_needs_nothing_and_takes_what_the_environment_offers() -> None:
    assert list(stack.load(None, {}).providers) == ["local", "minilm"]
    offered = {"OPENAI_API_KEY": "sk-1", "OLLAMA_URL": "http://localhost:11434/v1", "AZURE_API_KEY": "only a key"}
    made = stack.load("starter", offered)
    assert list(made.providers) == ["local", "minilm", "ollama", "openai"]
    assert made.providers["openai"].config["api_key"] == "${env.OPENAI_API_KEY}"
    everything = {
        variable: "https://example.com"
        for provider in yaml.safe_load((Path(stack.__file__).parent / "ready" / "starter.yaml").read_text())[
            "providers"
        ]
        for variable in __import__("re").findall(r"env\.([A-Z_]+)", str(provider))
    }
    assert len(stack.load("starter", everything).providers) == 21


def test_the_examples_follow_the_schema() -> None:
    for text in (OURS, THEIRS):
        jsonschema.validate(yaml.safe_load(text), stack.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"providers": [{"id": "a"}]}, stack.json_schema())


yaml_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.just("${env.X:=y}")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["providers", "models", "id", "type", "config", "provider", "aliases", "api_key", "slots"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=15,
)


@given(yaml_values)
def test_any_document_is_checked_without_raising(value: object) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump(value))
        file.flush()
        stack.check(file.name, {})


CACHED = """
providers: [{id: a, type: remote::vllm, config: {url: http://a/v1}}]
models:
  - {id: kept, provider: a, cache: %s}
"""


@pytest.mark.parametrize(
    ("said", "mode", "seconds"),
    [("{mode: always, seconds: 60}", "always", 60), ("{mode: off}", "off", 3600), ("{}", "header", 3600)],
)
def test_whether_a_models_answers_are_kept(written, said: str, mode: str, seconds: float) -> None:
    made = stack.load(written(CACHED % said), {}).models["kept"].cache
    assert made is not None and (made.mode, made.seconds) == (mode, seconds)
    jsonschema.validate(yaml.safe_load(CACHED % said.replace("off", "'off'")), stack.json_schema())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("yes", "should be a mapping"),
        ("{mode: sometimes}", "cache.mode"),
        ("{seconds: 0}", "cache.seconds"),
        ("{minutes: 1}", "no key 'minutes'"),
    ],
)
def test_a_models_cache_that_is_wrong(written, said: str, told: str) -> None:
    with pytest.raises(StackError, match=told) as caught:
        stack.load(written(CACHED % said), {})
    assert all(problem.line == 4 for problem in caught.value.problems)


HOOKS = """
webhooks:
  - url: https://hooks.example/a
    secret: ${env.HOOK_SECRET}
    tenant: acme
    events: [response.failed]
  - url: ${env.HOOK_URL:+https://hooks.example/b}
    secret_file: /run/secrets/hook
    allow_private: ${env.HOOK_PRIVATE:=true}
"""


def test_webhooks_are_checked_and_their_secrets_stay_references(written) -> None:
    made = stack.load(written(HOOKS), {"HOOK_URL": "x", "HOOK_SECRET": "whsec_real"})
    first, second = made.webhooks
    assert (first.url, first.secret, first.tenant) == ("https://hooks.example/a", "${env.HOOK_SECRET}", "acme")
    assert (second.secret_file, second.allow_private, second.tenant) == ("/run/secrets/hook", True, "default")
    assert "whsec_real" not in str(stack.effective(written(HOOKS), {"HOOK_SECRET": "whsec_real"}))
    assert len(stack.load(written(HOOKS), {}).webhooks) == 1, "an empty url leaves it out"
    jsonschema.validate(yaml.safe_load(HOOKS), stack.json_schema())


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{url: 'https://x/', secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0}", "a secret is written out here"),
        ("{secret: '${env.S}'}", "a webhook needs a url"),
        ("{url: 'https://x/'}", "either a secret"),
        ("{url: 'gopher://x/', secret: '${env.S}'}", "url: a webhook's url"),
        ("{url: 'https://x/', secret: '${env.S}', events: [response.created]}", "events: "),
        ("{url: 'https://x/', secret: '${env.S}', event: []}", "no key 'event'. Did you mean 'events'?"),
        ("{url: 'https://x/', secret: '${env.S}'}, {url: 'https://x/', secret: '${env.S}'}", "stands here twice"),
    ],
)
def test_mistakes_in_webhooks_are_told_with_their_line(written, row: str, problem: str) -> None:
    (found,) = stack.check(written(f"providers: []\nwebhooks: [{row}]"), {})
    assert found.line == 2
    assert problem in found.message
