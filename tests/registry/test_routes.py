"""Routes: in the stack file, and put while the registry runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import jsonschema
import pytest
import yaml
from caravan_contracts.context import Principal
from caravan_contracts.errors import Conflict, InvalidRequest, NotFound
from caravan_contracts.registry import ResourceKind, Source
from caravan_contracts.routes import RouteSpec, Strategy
from caravan_registry import stack

from tests.registry.bench import Bench

PROVIDER, MODEL, ROUTE = ResourceKind.PROVIDER, ResourceKind.MODEL, ResourceKind.ROUTE
ACME = Principal(tenant="acme", subject="bob", roles=("admin",))

GOOD = """
providers:
  - {id: a, type: remote::openai, config: {api_key: "${env.KEY}"}}
  - {id: b, type: remote::ollama}
models:
  - {id: house, provider: a, provider_model_id: gpt, aliases: [fast]}
routes:
  - name: smart
    strategy: weighted
    targets:
      - a/gpt-4o
      - {model: b/llama, weight: "${env.WEIGHT:=2}", limits: {max_concurrent: 3}}
      - ${env.NOTHING:+c/x}
      - house
    rules:
      - {when: {prompt_characters_under: 300}, targets: [b/llama, "${env.NOTHING:+c/x}"]}
      - {when: {tools: true}, targets: ["${env.NOTHING:+c/x}"]}
    timeouts: {first_token: "${env.FIRST:=5}"}
  - {id: "${env.NOTHING:+left-out}", targets: [a/gpt-4o]}
"""

BAD = """providers:
  - {id: a, type: remote::openai}
models:
  - {id: house, provider: a, aliases: [fast]}
routes:
  - targets: [a/x]
  - {name: fast, targets: [a/x]}
  - name: r1
    targets: [a/x, a/x]
    timeots: {first_token: 5}
    timeouts: {first_tokn: 3}
  - name: r2
    strategy: best
    targets:
      - model: a/y
        weight: -1
      - r2
    timeouts: {first_token: -1}
    rules:
      - when: {tools: maybe}
        targets: [a/z]
  - {name: r3, targets: a/x}
  - {name: r5, targets: [r4]}
  - {name: r4, targets: [later, other/x]}
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "caravan.yaml"
        path.write_text(text)
        return path

    return write


def test_routes_are_read_with_plain_targets_and_references(written) -> None:
    made = stack.load(written(GOOD), {}).routes
    assert list(made) == ["smart"]
    spec = made["smart"]
    assert spec.strategy is Strategy.WEIGHTED
    assert [target.model for target in spec.targets] == ["a/gpt-4o", "b/llama", "house"]
    assert spec.targets[1].weight == 2 and spec.targets[1].limits.max_concurrent == 3
    assert [rule.targets for rule in spec.rules] == [["b/llama"]]
    assert spec.timeouts.first_token == 5
    other = stack.load(written(GOOD), {"FIRST": "0.5", "NOTHING": "1"}).routes
    assert other["smart"].timeouts.first_token == 0.5
    assert [target.model for target in other["smart"].targets][2] == "c/x"
    assert "left-out" in other


def test_a_route_without_any_target_that_is_there_is_left_out(written) -> None:
    path = written("routes:\n  - {name: r, targets: ['${env.NOTHING:+c/x}']}\n")
    assert stack.load(path, {}).routes == {}
    assert [str(problem) for problem in stack.check(path, {})] == [
        "line 2: warning: the route 'r' is left out: none of its targets is there"
    ]


def test_off_is_a_word_though_yaml_takes_it_for_false(written) -> None:
    path = written("routes:\n  - {id: r, targets: [a/x], cache: {mode: off}}\n")
    assert stack.load(path, {}).routes["r"].cache.mode == "off"


def test_every_mistake_has_its_line(written) -> None:
    found = {problem.line: problem.message for problem in stack.check(written(BAD), {})}
    assert found == {
        6: "a route needs an id and targets",
        7: "'fast' is the name of a model already: a route needs one of its own",
        9: "the target 'a/x' stands here twice",
        10: "a route has no key 'timeots'. Did you mean 'timeouts'?",
        11: "timeouts has no key 'first_tokn'. Did you mean 'first_token'?",
        13: "strategy: Input should be 'ordered' or 'weighted'",
        16: "targets.0.weight: Input should be greater than 0",
        17: "the target 'r2' is the route itself: write <provider>/<model>",
        18: "timeouts.first_token: Input should be greater than 0",
        20: "rules.0.when.tools: Input should be a valid boolean, unable to interpret input",
        21: "the rule's target 'a/z' is none of the route's. Did you mean 'a/y'?",
        22: "targets: Input should be a valid list",
        23: "the target 'r4' is a route itself: name the models it stands for",
        24: "there is no provider 'other' in this file: 'other/x' is used once there is",
    }
    warnings = [problem.message for problem in stack.check(written(BAD), {}) if problem.severity == "warning"]
    assert len(warnings) == 2 and any("'later' is no model of this file" in text for text in warnings)


@pytest.mark.parametrize(
    "text",
    [
        "routes: {a: b}",
        "routes: [x]",
        "routes: [{id: [], targets: []}]",
        "routes: [{id: r, targets: [{}]}]",
        "routes: [{id: r, targets: [1]}]",
        "routes: [{id: r, targets: [a/x], rules: [{targets: [], when: {}}]}]",
        "routes: [{id: r, targets: [a/x], rules: [3]}]",
        "routes: [{id: r, targets: [a/x], rules: {}}]",
        "routes: [{id: r, targets: [a/x], cache: {mode: sometimes}}]",
        "routes: [{id: r, targets: [[a]]}]",
        "routes: [{id: r, targets: {model: a/x}}]",
        "routes: [{id: r, targets: [a/x], timeouts: 3}]",
    ],
)
def test_whatever_stands_there_is_told_and_never_raised(written, text: str) -> None:
    assert [problem for problem in stack.check(written(text), {}) if problem.severity == "error"]


def test_the_schema_knows_routes(written) -> None:
    schema = jsonschema.Draft202012Validator(stack.json_schema())
    assert not list(schema.iter_errors(yaml.safe_load(GOOD)))
    assert len(list(schema.iter_errors(yaml.safe_load(BAD)))) >= 5


@pytest.mark.parametrize("environment", [{}, {"VLLM_URL": "http://gpu:8000/v1", "OPENAI_API_KEY": "x"}])
def test_the_example_has_no_mistakes_whatever_is_set(environment: dict[str, str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "routes.yaml"
    assert stack.check(example, environment) == []
    assert list(stack.load(example, environment).routes) == ["smart", "spread"]
    assert not list(
        jsonschema.Draft202012Validator(stack.json_schema()).iter_errors(yaml.safe_load(example.read_text()))
    )


@pytest.mark.asyncio(loop_scope="session")
class TestRunning:
    async def test_a_route_of_the_file_is_seeded_and_goes_with_it(self, bench: Bench) -> None:
        first = await bench.registry(GOOD)
        _, rows = await bench.snapshot()
        row = rows["default/route/smart"]
        assert row.source is Source.STACK
        assert RouteSpec.model_validate(row.body).targets[0].model == "a/gpt-4o"
        await first.stop()
        again = await bench.registry(GOOD)
        assert (await bench.snapshot())[0] == 1
        await again.stop()
        await bench.registry("providers: []")
        assert "default/route/smart" not in (await bench.snapshot())[1]

    async def test_a_route_is_put_told_replaced_and_deleted(self, bench: Bench) -> None:
        await bench.registry()
        made = await bench.put(ROUTE, "r", {"targets": ["later/x", {"model": "y", "prefill": True}]})
        assert [target["model"] for target in made.resource.body["targets"]] == ["later/x", "y"]
        await bench.eventually(lambda: bool(bench.facts))
        assert bench.facts[0].changed == [made.resource]
        same = await bench.put(ROUTE, "r", {"targets": [{"model": "later/x"}, {"model": "y", "prefill": True}]})
        assert same.revision == made.revision
        await bench.put(ROUTE, "r", {"targets": ["later/x"], "strategy": "weighted"})
        await bench.delete(ROUTE, "r")
        assert "default/route/r" not in (await bench.snapshot())[1]
        with pytest.raises(NotFound, match="no route 'r'"):
            await bench.delete(ROUTE, "r")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "body.targets: Field required"),
            ({"targets": []}, "at least 1 item"),
            ({"targets": ["r"]}, "the route itself"),
            ({"targets": ["a", "a"]}, "each target once"),
            ({"targets": ["a"], "timeout": {}}, "Did you mean 'timeouts'"),
            ({"targets": ["a"], "retry": {"same": 1}}, "retry has no key 'same'"),
            ({"targets": [{"model": "a", "limits": {"rpm": 1}}]}, r"targets.0.limits has no key 'rpm'"),
            ({"targets": ["a"], "rules": [{"when": {}, "targets": ["b"]}]}, "none of the route's"),
            ({"targets": [" a"]}, "printable, without spaces"),
        ],
    )
    async def test_a_body_that_is_wrong_is_refused_by_name(self, bench: Bench, body: dict, message: str) -> None:
        await bench.registry()
        with pytest.raises(InvalidRequest, match=message):
            await bench.put(ROUTE, "r", body)

    async def test_a_name_means_one_thing(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put_provider("p")
        await bench.put_model("p/m", aliases=["fast"])
        for name in ("p/m", "fast"):
            with pytest.raises(Conflict, match="a name of the model 'p/m'"):
                await bench.put(ROUTE, name, {"targets": ["p/other"]})
        await bench.put(ROUTE, "m", {"targets": ["p/m"]})  # the bare name of a model that is listed as p/m
        with pytest.raises(Conflict, match="the target 'm' is a route itself"):
            await bench.put(ROUTE, "above", {"targets": ["m"]})
        await bench.put(ROUTE, "above", {"targets": ["later"]})
        with pytest.raises(Conflict, match="'later' is a target of the route 'above'"):
            await bench.put(ROUTE, "later", {"targets": ["p/m"]})
        with pytest.raises(Conflict, match="the name of a route"):
            await bench.put_model("above", "p")
        with pytest.raises(Conflict, match="the name of a route"):
            await bench.put_model("p/n", aliases=["above"])

    async def test_a_tenant_has_routes_of_its_own(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put(ROUTE, "r", {"targets": ["p/m"]})
        await bench.put(ROUTE, "r", {"targets": ["p/n"]}, ACME)
        with pytest.raises(Conflict, match="is a route itself"):
            await bench.put(ROUTE, "q", {"targets": ["r"]}, ACME)
        assert set((await bench.snapshot())[1]) == {"default/route/r", "acme/route/r"}

    async def test_two_registries_agree_on_a_route(self, bench: Bench) -> None:
        await asyncio.gather(bench.registry(), bench.registry())
        await bench.put(ROUTE, "r", {"targets": ["p/m"]})
        await bench.eventually(lambda: len(bench.facts) == 1)
