"""When a response compacts between its turns, and what is left then."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_agents.responses.attachments import Attachments
from caravan_agents.responses.compacting import Compactor, due
from caravan_agents.responses.messages import to_messages
from caravan_agents.responses.request import ResponseRequest, read_request
from caravan_agents.responses.resolving import resolve
from caravan_agents.responses.sealing import Sealing
from caravan_agents.responses.transcript import transcript
from caravan_bus.memory import MemoryHub
from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext

SEALING = Sealing.of("s" * 40)
ATTACHMENTS = Attachments(Requester(MemoryHub().connect(), "agents", "a1"), None, 0)
LONG = "many words " * 400


class Model:
    """Stands at the other end of the bus: answers each question with a summary, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, _verb: object, body: bytes, *_: object) -> Any:
        self.asked.append(orjson.loads(body))
        return self

    @property
    def stream(self) -> Model:
        return self

    async def read_all(self, _limit: int) -> bytes:
        message = {"role": "assistant", "content": " they spoke of words "}
        usage = {"prompt_tokens": 900, "completion_tokens": 5, "total_tokens": 905}
        return orjson.dumps({"choices": [{"message": message}], "usage": usage})

    async def finish(self, _asked: object) -> None:
        pass


def request(threshold: int | None, **fields: Any) -> ResponseRequest:
    entry = {"type": "compaction"} | ({} if threshold is None else {"compact_threshold": threshold})
    items = [
        {"role": "user", "content": "look for words"},
        {"type": "function_call", "call_id": "c", "name": "search", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": LONG},
    ]
    return read_request(orjson.dumps({"model": "m", "input": items, "context_management": [entry], **fields}))


def context() -> RequestContext:
    return RequestContext("req_1", Principal("acme", "ada"), 1e12)


@pytest.mark.parametrize(("threshold", "compacts"), [(300, True), (100_000, False), (None, False)])
async def test_it_compacts_when_the_threshold_is_passed(threshold: int | None, compacts: bool) -> None:
    model, asked = Model(), request(threshold)
    made = await Compactor(model, SEALING, ATTACHMENTS).between_turns(asked, asked.input, context())  # type: ignore[arg-type]
    assert (made is not None, len(model.asked)) == (compacts, int(compacts))


async def test_the_summary_stands_for_what_was_done_and_the_next_turn_is_short() -> None:
    model, asked = Model(), request(300)
    compactor = Compactor(model, SEALING, ATTACHMENTS)  # type: ignore[arg-type]
    made = await compactor.between_turns(asked, asked.input, context(), {"up_api_key": "k"})
    assert made is not None and made.usage["total_tokens"] == 905
    assert [item["type"] for item in made.items] == ["message", "compaction"] and made.items[-1] is made.item
    told = to_messages(resolve(made.items, "acme", SEALING))
    assert [message["role"] for message in told] == ["user", "user"] and "they spoke of words" in told[1]["content"]
    assert not due(asked, told)
    assert await compactor.between_turns(asked, made.items, context()) is None
    # as a chain remembers it: the item is behind what it stands for
    assert resolve([*asked.input, made.item], "acme", SEALING)[0] == made.items[0]


async def test_what_only_the_user_said_is_never_compacted() -> None:
    model, asked = Model(), request(300, input=LONG)
    assert await Compactor(model, SEALING, ATTACHMENTS).between_turns(asked, asked.input, context()) is None  # type: ignore[arg-type]
    assert model.asked == []


def test_a_transcript_says_who_did_what() -> None:
    call = {"function": {"name": "search", "arguments": '{"q":1}'}}
    image = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    written = transcript(
        [
            {"role": "user", "content": image},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ]
    )
    assert written == (
        '[user]\nsee\n(image_url)\n\n[assistant calls a tool]\nsearch({"q":1})\n\n[result of a tool]\nfound'
    )
