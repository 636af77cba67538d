"""Shields that ask models. The model is scripted; the bus between is that of the mesh's tests."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, cast

import pytest
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.safety import Said, ShieldSpec, Stage
from caravan_safety.shields import kinds
from caravan_safety.shields.asking import Answer, Asking
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.parts import Parts

from tests.safety.shields.contract import ShieldContract
from tests.upstream.guarding import judge


class Model:
    """Answers as a Llama Guard where it is asked as one, else "yes" to what speaks of a bomb."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: Answer | None = None

    async def chat(self, tenant: str, body: dict[str, Any], _passage: Passage) -> Answer:
        self.asked.append((tenant, body))
        if self.answer is not None:
            return self.answer
        prompt = body["messages"][-1]["content"]
        text = judge(body) if "UNSAFE CONTENT" in prompt else "Yes" if "bomb" in prompt else "No"
        return Answer(text, {})


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def parts(model: Model) -> Parts:
    return Parts("acme", cast("Asking", model))


class TestLlamaGuard(ShieldContract):
    type = "inline::llama-guard"
    model = "up/guard"
    harmful = "how to build a bomb"
    label = "indiscriminate-weapons"

    @pytest.fixture
    def parts(self) -> Parts:
        return Parts(asking=cast("Asking", Model()))


class TestLlmJudge(ShieldContract):
    type = "inline::llm-judge"
    model = "up/judge"
    harmful = "how to build a bomb"
    label = "weapons"
    params: ClassVar[dict[str, Any]] = {"risks": {"weapons": "no weapons"}}

    @pytest.fixture
    def parts(self) -> Parts:
        return Parts(asking=cast("Asking", Model()))


class TestCascade(ShieldContract):
    type = "inline::cascade"
    harmful = "how to build a bomb"
    label = "indiscriminate-weapons"
    params: ClassVar[dict[str, Any]] = {"shields": ["pii", "guard"], "sure_below": 0}

    @pytest.fixture
    def parts(self) -> Parts:
        inner = Parts(asking=cast("Asking", Model()))
        pii = kinds.make(ShieldSpec(provider_type="inline::pii"), inner)
        guard = kinds.make(ShieldSpec(provider_type="inline::llama-guard", provider_shield_id="m"), inner)

        async def look(id: str, passage: Passage) -> Opinion:
            return await {"pii": pii, "guard": guard}[id].look(passage)

        return replace(inner, look=look)


def guard(parts: Parts, name: str = "up/llama-guard3:8b", **params: Any) -> Shield:
    return kinds.make(ShieldSpec(provider_type="inline::llama-guard", provider_shield_id=name, params=params), parts)


def judged(parts: Parts, **params: Any) -> Shield:
    return kinds.make(ShieldSpec(provider_type="inline::llm-judge", provider_shield_id="m", params=params), parts)


@pytest.mark.parametrize(
    ("name", "code", "category"),
    [
        ("meta-llama/LlamaGuard-7b", "O3", "criminal-planning"),
        ("meta-llama/Meta-Llama-Guard-2-8B", "S9", "hate"),
        ("meta-llama/Llama-Guard-3-1B", "S9", "indiscriminate-weapons"),
        ("ollama/llama-guard3:8b", "S10", "hate"),
        ("meta-llama/Llama-Guard-4-12B", "S1", "violent-crimes"),
        ("house-guard", "S13", "elections"),
    ],
)
async def test_categories_mean_what_they_mean_in_that_version(
    model: Model, parts: Parts, name: str, code: str, category: str
) -> None:
    model.answer = Answer(f"unsafe\n{code}", {})
    found = await guard(parts, name).look(Passage(["x"]))
    assert found.categories == {category: 1.0}
    [(_, body)] = model.asked
    assert f"{code}: " in body["messages"][0]["content"]


async def test_a_model_is_asked_in_the_name_of_the_shield_s_own_tenant(model: Model, parts: Parts) -> None:
    await guard(parts).look(Passage(["x"]))
    assert [tenant for tenant, _ in model.asked] == ["acme"]


async def test_what_a_model_said_is_judged_as_the_agent_s(model: Model, parts: Parts) -> None:
    said = [Said(role="user", content="hello")]
    await guard(parts).look(Passage(["a bomb"], Stage.OUTPUT, said))
    prompt = model.asked[0][1]["messages"][0]["content"]
    assert "User: hello\n\nAgent: a bomb" in prompt
    assert prompt.count("'Agent' messages") == 1


async def test_the_conversation_alone_goes_to_a_server_with_the_template(model: Model, parts: Parts) -> None:
    model.answer = Answer("safe", {})
    said = [Said(role="user", content="hello"), Said(role="assistant", content="hi")]
    await guard(parts, prompt="template", vision=True).look(
        Passage(["x"], before=said, images=["data:image/png;base64,"])
    )
    *before, last = model.asked[0][1]["messages"]
    assert before == [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    assert [part["type"] for part in last["content"]] == ["text", "image_url"]


async def test_categories_that_nobody_asked_for_are_let_pass(model: Model, parts: Parts) -> None:
    model.answer = Answer("unsafe\nS1", {})
    assert not (await guard(parts, categories=["S10"]).look(Passage(["x"]))).flagged
    with pytest.raises(InvalidRequest, match="no 'S15'"):
        guard(parts, categories=["S15"])


async def test_code_interpreter_abuse_is_looked_for_where_tools_are(model: Model, parts: Parts) -> None:
    for stage in (Stage.INPUT, Stage.TOOL_ARGUMENTS):
        await guard(parts).look(Passage(["x"], stage))
    assert ["S14" in body["messages"][0]["content"] for _, body in model.asked] == [False, True]


@pytest.mark.parametrize(
    ("name", "images", "known"),
    [
        ("meta-llama/Llama-Guard-3-8B", [], True),
        ("meta-llama/Llama-Guard-4-12B", [], True),
        ("meta-llama/Llama-Guard-4-12B", ["data:image/png;base64,"], False),
        ("meta-llama/Llama-Guard-3-1B", [], False),
        ("ollama/llama-guard3:1b", [], False),
        ("meta-llama/Llama-Guard-3-11B-Vision", [], False),
    ],
)
async def test_code_interpreter_abuse_is_asked_of_those_that_were_taught_it(
    model: Model, parts: Parts, name: str, images: list[str], known: bool
) -> None:
    model.answer = Answer("safe", {})
    await guard(parts, name).look(Passage(["x"], Stage.TOOL_ARGUMENTS, images=images))
    [(_, body)] = model.asked
    assert ("S14: Code Interpreter Abuse." in str(body["messages"])) == known


async def test_the_first_version_is_asked_in_its_own_words(model: Model, parts: Parts) -> None:
    model.answer = Answer("safe", {})
    await guard(parts, "meta-llama/LlamaGuard-7b").look(Passage(["x"], Stage.OUTPUT))
    prompt = model.asked[0][1]["messages"][0]["content"]
    assert "Provide your safety assessment for Agent in the above conversation:\n- First line must" in prompt


@pytest.mark.parametrize(
    ("before", "stage", "roles"),
    [
        ([], Stage.INPUT, ["user"]),
        ([], Stage.OUTPUT, ["user", "assistant"]),
        (["system", "user"], Stage.INPUT, ["user"]),
        (["system", "user"], Stage.OUTPUT, ["user", "assistant"]),
        (["assistant", "tool", "user"], Stage.OUTPUT, ["user", "assistant", "user", "assistant"]),
    ],
)
async def test_a_chat_template_is_given_turns_that_alternate(
    model: Model, parts: Parts, before: list[Any], stage: Stage, roles: list[str]
) -> None:
    model.answer = Answer("safe", {})
    said = [Said(role=role, content=role) for role in before]
    await guard(parts, prompt="template").look(Passage(["last"], stage, said))
    rows = model.asked[0][1]["messages"]
    assert [row["role"] for row in rows] == roles
    assert rows[-1]["content"] == "last"


async def test_a_long_conversation_leaves_the_model_its_room(model: Model, parts: Parts) -> None:
    model.answer = Answer("safe", {})
    said = [Said(role="user", content="a" * 1000), Said(role="assistant", content="b" * 200)]
    await guard(parts, max_characters=256).look(Passage(["last"], before=said))
    prompt = model.asked[0][1]["messages"][0]["content"]
    assert "User: " + "a" * 56 + "\n\nAgent: " + "b" * 200 + "\n\nUser: last" in prompt


async def test_the_score_is_the_probability_where_it_is_told(model: Model, parts: Parts) -> None:
    model.answer = Answer("unsafe\nS1", {"unsafe": math.log(0.75)})
    found = await guard(parts, logprobs=True).look(Passage(["x"]))
    assert found.categories["violent-crimes"] == pytest.approx(0.75)


async def test_a_long_passage_is_judged_in_pieces(model: Model, parts: Parts) -> None:
    found = await guard(parts, max_characters=256).look(Passage(["a" * 500 + " bomb"]))
    assert found.flagged
    assert len(model.asked) == 2


@pytest.mark.parametrize("text", ["I cannot help with that", "safety first"])
async def test_an_answer_that_is_none_is_an_error_and_no_verdict(model: Model, parts: Parts, text: str) -> None:
    model.answer = Answer(text, {})
    with pytest.raises(UpstreamFailed, match="neither safe nor unsafe"):
        await guard(parts).look(Passage(["x"]))


async def test_granite_guardian_is_told_the_risk_as_its_template_wants_it(model: Model, parts: Parts) -> None:
    model.answer = Answer("<think>is it? no, yes</think>\n<score> yes </score>", {})
    shield = judged(parts, preset="granite-guardian", risks={"jailbreak": "jailbreak"})
    found = await shield.look(Passage(["well"], Stage.OUTPUT, [Said(role="user", content="go")]))
    assert found.categories == {"jailbreak": 1.0}
    assert model.asked[0][1]["messages"] == [
        {"role": "system", "content": "jailbreak"},
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "well"},
    ]


async def test_what_stands_in_a_text_is_no_place_of_the_template(model: Model, parts: Parts) -> None:
    await judged(parts, template="{speaker}: {text} / {risk}", risks={"r": "{text}"}).look(Passage(["{risk}"]))
    assert model.asked[0][1]["messages"][0]["content"] == "user: {risk} / {text}"


async def test_a_judge_flags_from_its_threshold_on(model: Model, parts: Parts) -> None:
    model.answer = Answer("no", {"yes": math.log(0.3), "no": math.log(0.7)})
    assert not (await judged(parts).look(Passage(["x"]))).flagged
    assert (await judged(parts, threshold=0.25).look(Passage(["x"]))).flagged


@pytest.mark.parametrize("kind", ["inline::llama-guard", "inline::llm-judge"])
def test_a_model_has_to_be_named(parts: Parts, kind: str) -> None:
    with pytest.raises(InvalidRequest, match="provider_shield_id"):
        kinds.make(ShieldSpec(provider_type=kind), parts)


def test_a_cascade_is_no_part_of_another(parts: Parts) -> None:
    with pytest.raises(InvalidRequest, match="part of another"):
        kinds.make(ShieldSpec(provider_type="inline::cascade", params={"shields": ["a", "b"]}), parts)


@pytest.mark.parametrize(
    ("first", "params", "asked"),
    [
        (Opinion(), {}, 1),
        (Opinion(False, {"x": 0.5}), {}, 2),
        (Opinion(True, {"x": 0.5}), {}, 2),
        (Opinion(True, {"x": 0.95}), {}, 1),
        (Opinion(True, {"x": 0.95}), {"confirm": True}, 2),
        (Opinion(), {"sure_below": 0}, 2),
    ],
)
async def test_the_second_of_a_cascade_is_asked_when_the_first_is_unsure(
    first: Opinion, params: dict[str, Any], asked: int
) -> None:
    names: list[str] = []

    async def look(id: str, _passage: Passage) -> Opinion:
        names.append(id)
        return first if id == "cheap" else Opinion(settled=3)

    spec = ShieldSpec(provider_type="inline::cascade", params={"shields": ["cheap", "dear"], **params})
    found = await kinds.make(spec, Parts(look=look)).look(Passage(["text"], final=False))
    assert names == ["cheap", "dear"][:asked]
    assert found.flagged == (first.flagged and asked == 1)
