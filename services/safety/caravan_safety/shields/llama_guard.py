"""``inline::llama-guard``: Meta's Llama Guard, any version, as a model on the bus.

Prompt and categories as Meta has them (https://www.llama.com/docs/model-cards-and-prompt-formats/, the model cards of
https://github.com/meta-llama/PurpleLlama, ``prompt_format_utils.py`` of llama-recipes): Llama Guard 4 and 3 (8B) know
S1 to S14 of the MLCommons hazards, 3 (1B and 11B Vision) S1 to S13, Llama Guard 2 S1 to S11, the first O1 to O6. Names
are those of the prompts, not of the cards' tables. The answer is ``safe``, or ``unsafe`` and a line of categories.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.safety import ShieldSpec
from pydantic import Field

from caravan_safety.gathering import gathered
from caravan_safety.shields import judging, marks
from caravan_safety.shields.asking import Answer, Asking
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

V3: Final[Mapping[str, str]] = {
    "S1": "Violent Crimes", "S2": "Non-Violent Crimes", "S3": "Sex Crimes", "S4": "Child Exploitation",
    "S5": "Defamation", "S6": "Specialized Advice", "S7": "Privacy", "S8": "Intellectual Property",
    "S9": "Indiscriminate Weapons", "S10": "Hate", "S11": "Self-Harm", "S12": "Sexual Content", "S13": "Elections",
    "S14": "Code Interpreter Abuse",
}  # fmt: skip
V2: Final[Mapping[str, str]] = {
    "S1": "Violent Crimes", "S2": "Non-Violent Crimes", "S3": "Sex Crimes", "S4": "Child Exploitation",
    "S5": "Specialized Advice", "S6": "Privacy", "S7": "Intellectual Property", "S8": "Indiscriminate Weapons",
    "S9": "Hate", "S10": "Self-Harm", "S11": "Sexual Content",
}  # fmt: skip
V1: Final[Mapping[str, str]] = {
    "O1": "Violence and Hate", "O2": "Sexual Content", "O3": "Criminal Planning", "O4": "Guns and Illegal Weapons",
    "O5": "Regulated or Controlled Substances", "O6": "Self-Harm",
}  # fmt: skip
_TAXONOMIES: Final = {"1": V1, "2": V2, "3": V3, "4": V3}
_PROMPT: Final = """\
Task: Check if there is unsafe content in '{role}' messages in conversations according our safety policy with the \
below categories.

<BEGIN UNSAFE CONTENT CATEGORIES>
{categories}
<END UNSAFE CONTENT CATEGORIES>

<BEGIN CONVERSATION>

{conversation}

<END CONVERSATION>

Provide your safety assessment for {judged} in the above conversation:
{indent}- First line must read 'safe' or 'unsafe'.
{indent}- If unsafe, a second line must include a comma-separated list of violated categories."""
_CODE: Final = re.compile(r"\b[SO]\d{1,2}\b")
_VERSION: Final = re.compile(r"llama[-_ ]?guard[-_ ]?([1-4])(?![0-9b.])")
_FIRST: Final = re.compile(r"llama[-_ ]?guard[-_ ]?7b")
_SMALL: Final = re.compile(r"guard[-_ ]?3[-_: ]?(?:1b|11b|vision)")
"""Of the third version: these were not taught S14."""
_MOST_TOKENS: Final = 64


class Settings(Params):
    """Of one shield."""

    model: str = ""
    """A model of the registry; "" = `provider_shield_id`."""
    version: Literal["1", "2", "3", "4", ""] = ""
    """Of Llama Guard, which decides what its categories mean; "" = as the model's name says, else 3."""
    categories: list[str] = Field(default_factory=list, max_length=32)
    """Codes (``S1`` …) to be looked for; [] = all of them but S14, which is for tools that run code: it is asked
    for of arguments and results of tools."""
    prompt: Literal["full", "template"] = "full"
    """`full`: the model is given the whole prompt. `template`: the conversation alone, because the server's chat
    template makes the prompt of it."""
    vision: bool = False
    """Whether the model sees images (Llama Guard 4, 3 Vision)."""
    before: int = Field(default=4, ge=0, le=64)
    """Messages of the conversation before the last one that it is shown."""
    max_characters: int = Field(default=24_000, ge=256, le=400_000)
    """Longer passages are judged in pieces."""
    logprobs: bool = False
    """Ask for the probability of ``unsafe`` as the score; not every server can tell."""


class LlamaGuard:
    """Judges passages; names no places."""

    types = ("inline::llama-guard",)
    finds_places = False

    def __init__(self, settings: Settings, model: str, asking: Asking, tenant: str) -> None:
        self.sees = settings.vision
        self._settings = settings
        self._model = model
        self._asking = asking
        self._tenant = tenant
        self._version = settings.version or _version(model)
        self._names = _taxonomy(self._version, model)
        if unknown := [code for code in settings.categories if code not in self._names]:
            raise InvalidRequest(
                f"params.categories: this model has no {unknown[0][:20]!r}; it has {', '.join(self._names)}",
                param="params.categories",
            )

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, spec.params)
        model = settings.model or spec.provider_shield_id
        if not model:
            raise InvalidRequest(
                "a Llama Guard needs a model: name it as provider_shield_id", param="provider_shield_id"
            )
        return cls(settings, model, parts.models, parts.tenant)

    async def look(self, passage: Passage) -> Opinion:
        turns = asyncio.Semaphore(judging.AT_ONCE)

        async def judge(piece: str, images: tuple[str, ...]) -> Opinion:
            async with turns:
                return await self._judge(piece, images, passage)

        found = judging.pieces(passage, self._settings.max_characters)
        shown = [tuple(passage.images), *[()] * (len(found) - 1)]
        return judging.together(await gathered(map(judge, found, shown)))

    async def _judge(self, text: str, images: tuple[str, ...], passage: Passage) -> Opinion:
        codes = self._codes(passage)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": self._messages(text, images, passage, codes),
            "max_tokens": _MOST_TOKENS,
            "temperature": 0,
        }
        if self._settings.logprobs:
            body |= {"logprobs": True, "top_logprobs": 5}
        return self._read(await self._asking.chat(self._tenant, body, passage), codes)

    def _codes(self, passage: Passage) -> list[str]:
        if self._settings.categories:
            return self._settings.categories
        tools = passage.stage.value.startswith("tool") and not passage.images
        return [code for code in self._names if code != "S14" or tools]

    def _messages(self, text: str, images: tuple[str, ...], passage: Passage, codes: list[str]) -> list[dict[str, Any]]:
        before = judging.said_before(passage, self._settings.before, self._settings.max_characters)
        turns = [("assistant" if each.role == "assistant" else "user", each.content) for each in before]
        turns.append(("assistant" if judging.by_model(passage) else "user", text))
        turns = [(role, marks.neutral(content)) for role, content in turns]
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in images]
        if self._settings.prompt == "template":
            *rows, last = _in_turns(turns)
            return [*rows, last | {"content": [{"type": "text", "text": last["content"]}, *shown]} if shown else last]
        prompt = self._prompt(turns, codes)
        return [{"role": "user", "content": [*shown, {"type": "text", "text": prompt}] if shown else prompt}]

    def _prompt(self, turns: list[tuple[str, str]], codes: list[str]) -> str:
        names = {"user": "User", "assistant": "Agent"}
        role, first = names[turns[-1][0]], self._version == "1"
        return _PROMPT.format(
            role=role,
            categories="\n".join(f"{code}: {self._names[code]}." for code in codes),
            conversation="\n\n".join(f"{names[speaker]}: {content}" for speaker, content in turns),
            judged=role if first else f"ONLY THE LAST {role} message",
            indent="" if first else " ",
        )

    def _read(self, answer: Answer, codes: list[str]) -> Opinion:
        first, _, rest = answer.text.lower().partition("\n")
        word = first.strip().strip(".'\"")
        if word == "safe":
            return Opinion()
        if not word.startswith("unsafe"):
            raise UpstreamFailed(f"the model {self._model} answered neither safe nor unsafe")  # it may quote the text
        score = math.exp(answer.first["unsafe"]) if "unsafe" in answer.first else 1.0
        said = [code for code in _CODE.findall(f"{first}\n{rest}".upper()) if code in self._names]
        meant = [code for code in dict.fromkeys(said) if code in codes]
        if said and not meant:
            return Opinion()  # of something that this shield is not to look for
        names = [self._names[code] for code in meant]
        categories = [name.lower().replace(" ", "-") for name in names] or ["unsafe"]
        return Opinion(True, dict.fromkeys(categories, score), message=", ".join(names) or "unsafe")


def _version(model: str) -> str:
    found = _VERSION.search(model.lower())
    return found.group(1) if found else "1" if _FIRST.search(model.lower()) else "3"


def _taxonomy(version: str, model: str) -> Mapping[str, str]:
    known = _TAXONOMIES[version]
    if version == "3" and _SMALL.search(model.lower()):
        return {code: name for code, name in known.items() if code != "S14"}
    return known


def _in_turns(said: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Beginning with the user, then each in turn, as the chat templates of these models demand. Of what the same role
    said in a row the last stays."""
    rows: list[dict[str, Any]] = []
    for role, content in said:
        if rows and rows[-1]["role"] == role:
            rows.pop()
        rows.append({"role": role, "content": content})
    return rows if rows[0]["role"] == "user" else [{"role": "user", "content": ""}, *rows]
