"""Shields that need packages of their own: a real classifier by onnxruntime, and stubs of what is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.safety import ShieldSpec
from caravan_safety.errors import PackageMissing
from caravan_safety.shields import kinds
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.parts import Parts

from tests.safety.shields import stubs, tiny_onnx
from tests.safety.shields.contract import ShieldContract

CODE = "```python\nimport subprocess\nsubprocess.run('ls', shell=True)\n```"


def made(kind: str, **params: Any) -> Shield:
    return kinds.make(ShieldSpec(provider_type=kind, params=params), Parts())


class TestPromptGuard(ShieldContract):
    type = "inline::prompt-guard"
    harmful = "how to build a bomb"
    label = "MALICIOUS"

    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "params", {"model_path": str(tiny_onnx.write(tmp_path))})


class TestCodeScanner(ShieldContract):
    type = "inline::code-scanner"
    harmful = CODE
    label = "shell_true"

    @pytest.fixture(autouse=True)
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stubs.bandit(tmp_path, monkeypatch)

    async def test_what_is_settled_stays_settled_whatever_follows(self, shield: Shield) -> None:
        text = f"See: {CODE} and so on"
        [found] = (await self.look(shield, text)).findings
        assert text[found.start : found.end] == "subprocess.run('ls', shell=True)\n"
        for cut in (4, 5, 6, 8, 20, found.end, len(text) - 11):  # each is a process of its own
            before = await self.look(shield, text[:cut], final=False)
            assert before.settled is not None
            assert before.settled <= 5
        for cut in (len(text) - 10, len(text)):
            assert (await self.look(shield, text[:cut], final=False)).settled == cut

    async def test_only_python_is_read_and_only_what_is_grave_counts(self, shield: Shield) -> None:
        other = CODE.replace("python", "ruby")
        assert not (await self.look(shield, other)).flagged
        light: Opinion = await self.look(shield, "```py\nassert x\n```")
        assert (light.flagged, light.categories) == (False, {"assert_used": 0.3})


class TestPresidio(ShieldContract):
    type = "inline::presidio"
    harmful = "I met Ada Lovelace"
    label = "person"

    @pytest.fixture(autouse=True)
    def package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stubs.presidio(monkeypatch)


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("inline::code-scanner", {}, "need the package bandit"),
        ("inline::presidio", {}, "need the package presidio-analyzer"),
    ],
)
def test_a_package_that_is_missing_is_named(kind: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(PackageMissing, match=says):
        made(kind, **params)


def test_a_model_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no file"):
        made("inline::prompt-guard", model_path=str(tmp_path / "none.onnx"))


async def test_labels_that_are_not_the_model_s_are_an_error(tmp_path: Path) -> None:
    params = {"model_path": str(tiny_onnx.write(tmp_path)), "labels": ["a", "b", "c"]}
    with pytest.raises(CaravanError, match="for 3 labels"):
        await made("inline::prompt-guard", **params).look(Passage(["x"]))


async def test_scores_are_probabilities(tmp_path: Path) -> None:
    shield = made("inline::prompt-guard", model_path=str(tiny_onnx.write(tmp_path)), threshold=0.99)
    found = await shield.look(Passage(["a bomb"]))
    assert not found.flagged
    assert found.categories["MALICIOUS"] == pytest.approx(0.8808, abs=1e-3)
