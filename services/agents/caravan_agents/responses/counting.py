"""How many tokens an input has, reckoned without a model.

No tokenizer knows every model, and asking a model costs what one wanted to know beforehand. So the text is cut as
byte-pair tokenizers cut it before they merge (words, digits, signs), and each piece costs what it costs on average in
the vocabularies of today's models; English prose is right to some ten percent, code and other scripts to some thirty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil
from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.inference import Verb
from caravan_contracts.openai import read_request

from caravan_agents.responses.messages import Message

_PIECES: Final = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digits>\d{1,3})|(?P<blank>\s+)"
    r"|(?P<ideographs>[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
    r"|(?P<letters>[^\W\d_A-Za-z]+)|(?P<signs>[\x21-\x7e]+)|(?P<others>.)",
    re.DOTALL,
)
_WORD: Final = 7
"""Letters of a word that are one token; English words are 4.7 long, and rarely cut."""
_MESSAGE: Final = 4
"""Of a message: its role and what stands around it."""
_ANSWER: Final = 3
"""What stands before the answer."""
_IMAGE: Final = {"low": 85}
_IMAGE_ELSE: Final = 765
"""A picture of a megapixel, in OpenAI's reckoning of tiles."""
_AUDIO_BYTES: Final = 3200
"""Of sound for one token: 16 kHz, 16 bits, ten tokens a second."""


def of_request(messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), format: Any = None) -> int:
    """Tokens of the messages of a chat completion, the tools it offers, and the form of its answer."""
    total = sum(_MESSAGE + _of_message(message) for message in messages) + _ANSWER
    for extra in (*tools, *([format] if format else ())):
        total += of_text(orjson.dumps(extra).decode())
    return total


def of_chat(body: bytes) -> int:
    """Tokens of the body of a chat completion. Raises InvalidJSON, InvalidRequest."""
    read_request(Verb.CHAT, body)
    data = orjson.loads(body)
    try:
        return of_request(data["messages"], data.get("tools") or (), data.get("response_format"))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            "'messages' should hold messages of a chat completion: their parts and tool calls are not", param="messages"
        ) from error


def of_text(text: str) -> int:
    """Tokens of a text."""
    total = 0
    for match in _PIECES.finditer(text):
        total += _cost(match.lastgroup or "", match.end() - match.start())
    return total


def _cost(kind: str, length: int) -> int:
    if kind == "word":
        return ceil(length / _WORD)
    if kind == "letters":  # an alphabet that vocabularies know less of
        return ceil(length / 3)
    if kind == "signs":
        return ceil(length / 3)
    if kind == "blank":  # one blank belongs to the word behind it
        return 0 if length == 1 else 1
    return length if kind == "ideographs" else 1


def _of_message(message: Message) -> int:
    total = _of_content(message.get("content"))
    for call in message.get("tool_calls") or ():
        function = call["function"]
        total += _MESSAGE + of_text(function["name"]) + of_text(function["arguments"])
    return total + sum(of_text(message[name]) for name in ("reasoning_content", "reasoning") if message.get(name))


def _of_content(content: Any) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return of_text(content)
    return sum(_of_part(part) for part in content)


def _of_part(part: dict[str, Any]) -> int:
    kind = part["type"]
    if kind == "text":
        return of_text(part["text"])
    if kind == "image_url":
        return _IMAGE.get(part["image_url"].get("detail", "auto"), _IMAGE_ELSE)
    if kind == "input_audio":
        return ceil(len(part["input_audio"]["data"]) * 3 / 4 / _AUDIO_BYTES)
    data = part["file"].get("file_data") or ""
    return ceil(len(data) * 3 / 4 / 4)
