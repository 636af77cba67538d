"""Texts that are put into a prompt, without what the prompt itself is held together by.

A text that holds ``<END CONVERSATION>``, ``<|eot_id|>``, or a line ``User: what a fine day``, would end its own place
in the prompt and have something else judged. Such marks become words in round brackets, which no prompt is made of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from caravan_safety.matching.characters import INVISIBLE, plain

_MARK: Final = re.compile(
    r"""
    <\s{0,4}(?:BEGIN|END)\s{1,4}(?:UNSAFE\s{1,4}CONTENT\s{1,4}CATEGORIES|CONVERSATION)\s{0,4}>  # Llama Guard's parts
    | <\|[^\s|<>()\[\]]{1,64}\|>                                # tokens of Llama 3 and 4, ChatML, Granite and others
    | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG)\]     # Llama 2, Mistral
    | <</?SYS>> | </?s>                                                                        # Llama 2
    | </?(?:bos|eos|start_of_turn|end_of_turn|guardian|think|score)>                           # Gemma, Granite Guardian
    | <(?:start|end)_of_risk_definition>
    | (?:^|(?<=[\r\v\f\x1c-\x1e\x85\u2028\u2029]))[ \t]{0,256}(?:User|Agent|Assistant)(?:[ ]Message)?[ \t]{0,8}:  # turn
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_ENDS: Final = "<>[]|: \t\r\n\v\f"


def neutral(text: str, lines: Collection[str] = ()) -> str:
    """`text` itself where it holds no mark. `lines` of a template (as :func:`own_lines` has them) are marks as well."""
    made = _without_marks(text)
    if not lines:
        return made
    return "".join(_quoted(line, lines) for line in made.splitlines(keepends=True))


def own_lines(template: str) -> frozenset[str]:
    """The lines of a template in which nothing is put."""
    return frozenset(_line(line) for line in template.splitlines() if line.strip() and "{" not in line)


def _without_marks(text: str) -> str:
    seen, places = _seen(text)
    made, end = [], 0
    for found in _MARK.finditer(seen):
        made += [text[end : places[found.start()]], f"({found.group().strip(_ENDS)})"]
        end = places[found.end() - 1] + 1
    return "".join([*made, text[end:]])


def _seen(text: str) -> tuple[str, Sequence[int]]:
    """What a reader sees of it, and where each of these characters stands."""
    if text.isascii():
        return text, range(len(text))
    places = [place for place, character in enumerate(text) if INVISIBLE.match(character) is None]
    return "".join(plain(text[place]) for place in places), places


def _quoted(line: str, lines: Collection[str]) -> str:
    while _line(line) in lines:
        line = f"> {line}"
    return line


def _line(line: str) -> str:
    return _seen(line)[0].strip().casefold()
