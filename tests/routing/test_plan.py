"""Which targets are asked, and in which order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_bus.catalog import Catalog, ModelTarget
from caravan_bus.routing.plan import Standing, ordered, plan
from caravan_bus.routing.prefill import can_prefill, prefilled
from caravan_bus.routing.properties import Properties
from caravan_bus.routing.targets import Candidate
from caravan_contracts.inference import Verb
from caravan_contracts.registry import ModelType, Resource
from caravan_contracts.routes import RouteSpec, Target, When

CHAT: dict[str, Any] = {"model": "r", "messages": [{"role": "user", "content": "four"}]}


def of(body: dict[str, Any], stream: bool = False) -> Properties:
    return Properties(orjson.dumps(body), stream)


def candidate(name: str, kind: str = "remote::vllm", **options: Any) -> Candidate:
    target = ModelTarget(name, "m", ModelType.LLM, None)
    return Candidate(target, Target(model=f"{name}/m", **options), kind)


@pytest.mark.parametrize(
    ("when", "body", "fits"),
    [
        ({}, CHAT, True),
        ({"prompt_characters_under": 5}, CHAT, True),
        ({"prompt_characters_under": 4}, CHAT, False),
        ({"prompt_characters_over": 4}, CHAT, False),
        ({"prompt_characters_over": 3}, CHAT, True),
        ({"prompt_characters_over": 3}, {"prompt": ["ab", "cd"]}, True),
        ({"tools": True}, {**CHAT, "tools": [{"type": "function"}]}, True),
        ({"tools": False}, {**CHAT, "tools": [{"type": "function"}]}, False),
        ({"images": True}, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, True),
        ({"images": True}, CHAT, False),
        ({"structured_output": True}, {**CHAT, "response_format": {"type": "json_object"}}, True),
        ({"structured_output": True}, {**CHAT, "response_format": {"type": "text"}}, False),
        ({"stream": True}, CHAT, False),
        ({"metadata": {"tier": "gold"}}, {**CHAT, "metadata": {"tier": "gold", "x": "y"}}, True),
        ({"metadata": {"tier": "gold"}}, {**CHAT, "metadata": {"tier": "tin"}}, False),
        ({"metadata": {"tier": "gold"}}, CHAT, False),
    ],
)
def test_conditions(when: dict[str, Any], body: dict[str, Any], fits: bool) -> None:
    assert of(body).fit(When(**when)) is fits


def test_the_first_rule_that_fits_chooses() -> None:
    spec = RouteSpec.model_validate(
        {
            "targets": [{"model": "a"}, {"model": "b"}, {"model": "c"}],
            "rules": [
                {"when": {"prompt_characters_under": 3}, "targets": ["c"]},
                {"when": {"prompt_characters_under": 9}, "targets": ["b", "a"]},
            ],
        }
    )
    assert [target.model for target in ordered(spec, of(CHAT), 0.0)] == ["b", "a"]
    long = {"messages": [{"role": "user", "content": "a long question"}]}
    assert [target.model for target in ordered(spec, of(long), 0.0)] == ["a", "b", "c"]


def test_a_body_is_not_parsed_for_a_route_without_rules() -> None:
    spec = RouteSpec(targets=[Target(model="a")])
    assert ordered(spec, Properties(b"not even JSON", False), 0.0)


def test_weights_choose_the_first_and_leave_the_others_in_order() -> None:
    spec = RouteSpec.model_validate(
        {
            "strategy": "weighted",
            "targets": [{"model": "a", "weight": 1}, {"model": "b", "weight": 3}, {"model": "c", "weight": 4}],
        }
    )
    firsts = [ordered(spec, of(CHAT), i / 800)[0].model for i in range(800)]
    assert [firsts.count(name) for name in "abc"] == [100, 300, 400]
    assert [target.model for target in ordered(spec, of(CHAT), 0.99)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("standing", "chosen", "best"),
    [
        ("RRR", "abc", Standing.READY),
        ("BRR", "bca", Standing.READY),
        ("ORF", "b", Standing.READY),
        ("BOO", "a", Standing.BUSY),
        ("FOO", "a", Standing.FULL),
        ("OCC", "bc", Standing.COOLING),
        ("OOO", "abc", Standing.OPEN),
    ],
)
def test_what_cannot_be_asked_is_left_out_while_anything_else_can(standing: str, chosen: str, best: Standing) -> None:
    letters = {"R": Standing.READY, "B": Standing.BUSY, "F": Standing.FULL, "C": Standing.COOLING, "O": Standing.OPEN}
    known = {name: letters[letter] for name, letter in zip("abc", standing, strict=True)}
    made = plan([candidate(name) for name in "abc"], lambda one: known[one.model.provider_id])
    assert "".join(one.model.provider_id for one in made.candidates) == chosen
    assert made.standing is best


def resource(kind: str, id: str, body: dict[str, Any], tenant: str = "default") -> Resource:
    return Resource(tenant=tenant, kind=kind, id=id, revision=1, source="api", created=1, body=body)


def test_a_route_hides_aliases_and_bare_names_and_no_model_of_its_id() -> None:
    model = {"provider_id": "p", "provider_resource_id": "m", "aliases": ["fast"]}
    route = {"targets": [{"model": "p/m"}]}
    catalog = Catalog(
        [
            resource("model", "p/m", model),
            resource("route", "fast", route),
            resource("route", "m", route),
            resource("route", "p/m", route),
            resource("route", "own", route, "acme"),
        ]
    )
    for name in ("fast", "m"):
        found = catalog.route(name)
        assert found is not None and found.id == name
    assert catalog.route("p/m") is None and catalog.route("none") is None
    assert catalog.route("own") is None and catalog.route("own", "acme") is not None
    assert catalog.route("fast", "acme") is not None
    assert [row.id for row in catalog.routes("acme")] == ["fast", "m", "own", "p/m"]
    catalog.apply([resource("model", "fast", {"provider_id": "p", "provider_resource_id": "x"}, "acme")])
    assert catalog.route("fast", "acme") is None, "what a tenant owns hides what is shared"
    catalog.apply(removed=["default/route/fast", "default/route/m", "default/route/p/m", "acme/route/own"])
    assert catalog.routes("acme") == [] and catalog.route("fast") is None


def test_a_route_that_cannot_be_read_is_told() -> None:
    catalog = Catalog([resource("route", "r", {"targets": []})])
    assert catalog.route("r") is None and list(catalog.unreadable) == ["default/route/r"]


def test_who_is_known_to_go_on_from_a_text() -> None:
    assert can_prefill(Verb.CHAT, candidate("a"))
    assert not can_prefill(Verb.CHAT, candidate("a", "remote::openai"))
    assert can_prefill(Verb.COMPLETIONS, candidate("a", "remote::openai"))
    assert can_prefill(Verb.CHAT, candidate("a", "remote::openai", prefill=True))
    assert not can_prefill(Verb.CHAT, candidate("a", prefill=False))


def test_the_request_that_goes_on() -> None:
    body = orjson.dumps({**CHAT, "max_tokens": 10})
    made = orjson.loads(prefilled(Verb.CHAT, body, "so far", 4, candidate("a")) or b"")
    assert made["messages"][-1] == {"role": "assistant", "content": "so far"}
    assert made["continue_final_message"] is True and made["add_generation_prompt"] is False
    assert made["max_tokens"] == 6
    made = orjson.loads(prefilled(Verb.CHAT, body, "so far", 4, candidate("a", "remote::mistral")) or b"")
    assert made["messages"][-1]["prefix"] is True and "continue_final_message" not in made
    made = orjson.loads(prefilled(Verb.COMPLETIONS, b'{"prompt":["Once"]}', " upon", 1, candidate("a")) or b"")
    assert made["prompt"] == "Once upon"


@pytest.mark.parametrize(
    ("verb", "more", "kind"),
    [
        (Verb.CHAT, {"n": 2}, "remote::vllm"),
        (Verb.CHAT, {"response_format": {"type": "json_object"}}, "remote::vllm"),
        (Verb.COMPLETIONS, {"prompt": ["a", "b"]}, "remote::vllm"),
        (Verb.COMPLETIONS, {"prompt": "a", "echo": True}, "remote::vllm"),
        (Verb.CHAT, {}, "remote::anthropic"),
    ],
)
def test_what_is_not_asked_to_go_on(verb: Verb, more: dict[str, Any], kind: str) -> None:
    assert prefilled(verb, orjson.dumps({**CHAT, **more}), "ends in a blank ", 4, candidate("a", kind)) is None
