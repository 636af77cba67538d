"""Shields that need packages of their own: onnxruntime, Bandit, Presidio."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest
from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.safety import ShieldSpec
from caravan_safety.errors import PackageMissing
from caravan_safety.shields import kinds
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.parts import Parts

from tests.safety.shields import tiny_onnx
from tests.safety.shields.contract import ShieldContract

SHELL = "subprocess.run(name, shell=True)\n"
CODE = f"```python\nimport subprocess\n{SHELL}```"
BANDIT, PRESIDIO = find_spec("bandit") is not None, find_spec("presidio_analyzer") is not None


def made(kind: str, **params: Any) -> Shield:
    return kinds.make(ShieldSpec(provider_type=kind, params=params), Parts())


class TestPromptGuard(ShieldContract):
    type = "inline::prompt-guard"
    harmful = "how to build a bomb"
    label = "MALICIOUS"

    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "params", {"model_path": str(tiny_onnx.write(tmp_path))})


@pytest.mark.skipif(not BANDIT, reason="bandit is not installed (make setup)")
class TestCodeScanner(ShieldContract):
    type = "inline::code-scanner"
    harmful = CODE
    label = "subprocess_popen_with_shell_equals_true"

    async def test_what_is_settled_stays_settled_whatever_follows(self, shield: Shield) -> None:
        text = f"See: {CODE} and so on"
        [found] = (await self.look(shield, text)).findings
        assert text[found.start : found.end] == SHELL
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

    async def test_code_cannot_ask_not_to_be_looked_at(self, shield: Shield) -> None:
        assert (await self.look(shield, CODE.replace("True)", "True)  # nosec"))).flagged

    async def test_lines_are_those_of_python(self, shield: Shield) -> None:
        text = f"```py\nimport subprocess\nx = 'a\u2028b\x0cc'\n{SHELL}```"
        found = (await self.look(shield, text)).findings
        assert [text[each.start : each.end] for each in found] == [SHELL]

    async def test_what_is_no_python_is_told(self, shield: Shield) -> None:
        found = await self.look(shield, f"```\n{SHELL}and so on\n```")
        assert (found.flagged, found.categories) == (False, {"unparsable": 0.3})

    async def test_a_text_with_more_blocks_than_are_looked_at_is_flagged(self, shield: Shield) -> None:
        block = "```py\nx = 1\n```\n"
        assert not (await self.look(shield, block * 32)).flagged
        found = await self.look(shield, block * 33)
        assert [(each.label, each.start) for each in found.findings] == [("too_many", 32 * len(block) + 6)]


@pytest.mark.skipif(not PRESIDIO, reason="the extra presidio is not installed (make setup INSTALL_PRESIDIO=1)")
class TestPresidio(ShieldContract):
    """Without a model: its expressions and checksums."""

    type = "inline::presidio"
    harmful = "pay with 4111 1111 1111 1111, please"
    label = "credit_card"
    params: ClassVar[dict[str, Any]] = {"nlp_model": ""}

    async def test_it_asks_nobody_on_the_internet(self, shield: Shield, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: Any, **__: Any) -> None:
            raise AssertionError("something is fetched")

        monkeypatch.setattr("socket.getaddrinfo", refused)
        found = await self.look(shield, "write to ada@example.org")
        assert "email_address" in found.categories

    async def test_places_are_those_of_the_whole_text(self, shield: Shield) -> None:
        for before in (0, 2_030, 2_048, 2_300, 5_000):
            text = "x " * (before // 2) + self.harmful
            [found] = (await self.look(shield, text)).findings
            assert text[found.start : found.end] == "4111 1111 1111 1111"

    async def test_a_text_that_is_made_to_take_long_ends_with_its_time(self, shield: Shield) -> None:
        await self.look(shield, "loaded")
        with pytest.raises(TimeoutError):
            await shield.look(Passage(["a.-" * 100_000 + "@"], until=time.monotonic() + 1))

    def test_a_model_that_is_not_installed_is_told_and_not_fetched(self) -> None:
        with pytest.raises(InvalidRequest, match="no model 'en_core_web_nobody' is installed"):
            made("inline::presidio", nlp_model="en_core_web_nobody")


@pytest.mark.skipif(PRESIDIO, reason="the extra presidio is installed")
def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(PackageMissing, match=r"need caravan-safety\[presidio\] \(make setup INSTALL_PRESIDIO=1\)"):
        made("inline::presidio")


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
