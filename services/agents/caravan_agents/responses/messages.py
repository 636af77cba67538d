"""Items become the messages of a chat completion.

The calls of one turn are one assistant message, and each result follows it at once, wherever in the items it stood.
What a model cannot be told comes not so far: references and compactions are resolved, files fetched, before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import passages
from caravan_agents.responses.parts import chat_content, plain_text, said, untrusted, without_text
from caravan_agents.responses.tools import CUSTOM_ARGUMENT, called_name, joined_name

Message = dict[str, Any]
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_UNSEEN: Final = frozenset({"mcp_list_tools", "mcp_approval_request"})
"""Items that the model is not told of: it has the tools, and an approval shows in what came of it."""


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What the provider takes."""

    reasoning_field: str = ""
    """The field of an assistant's message in which it reads its earlier reasoning; "" leaves reasoning out."""
    frame_client_results: bool = True
    """Whether results that the client sends stand in the frame of untrusted content, as those of servers always do."""


@dataclass(slots=True)
class _Turn:
    """What the assistant said until it was interrupted."""

    reasoning: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[str | list[dict[str, Any]] | None] = field(default_factory=list)
    """Of the calls that brought theirs; None where it is an item of its own."""
    answered: bool = False
    """Whether results were seen: what comes now is another turn."""

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.content or self.calls)


def to_messages(
    items: Iterable[Item], instructions: str | None = None, options: MessageOptions = MessageOptions()
) -> list[Message]:
    """The messages. Raises InvalidRequest for a call without its result, a result without its call, and items that
    should have been resolved."""
    made = _Messages(list(items), options)
    if instructions is not None:
        made.out.append({"role": "system", "content": instructions})
    return made.run()


class _Messages:
    def __init__(self, items: list[Item], options: MessageOptions) -> None:
        self.out: list[Message] = []
        self._items = items
        self._options = options
        self._turn = _Turn()
        self._results: defaultdict[str, deque[str | list[dict[str, Any]]]] = defaultdict(deque)
        self._requests = {item["id"]: item for item in items if item["type"] == "mcp_approval_request"}
        for item in items:
            if item["type"] in _RESULTS:
                self._results[item["call_id"]].append(item["output"])

    def run(self) -> list[Message]:
        for item in self._items:
            self._take(item)
        self._flush()
        for call_id, left in self._results.items():
            if left:
                raise InvalidRequest(f"there is no call for the output with call_id {call_id!r}", param="input")
        return self.out

    def _take(self, item: Item) -> None:
        kind = item["type"]
        if kind == "message":
            self._message(item)
        elif kind in _RESULTS:
            self._turn.answered = True
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind == "function_call":
            self._call(item["call_id"], called_name(item), item["arguments"] or "{}")
        elif kind == "custom_tool_call":
            arguments = orjson.dumps({CUSTOM_ARGUMENT: item["input"]}).decode()
            self._call(item["call_id"], called_name(item), arguments)
        elif kind == "mcp_call":
            name = joined_name(item["server_label"], item["name"])
            self._call(item["id"], name, item["arguments"] or "{}", _mcp_result(item))
        elif kind in ("web_search_call", "file_search_call"):
            self._search(item)
        elif kind == "mcp_approval_response":
            self._approval(item)
        elif kind not in _UNSEEN:
            raise InvalidRequest(f"the item {item.get('id')!r} ({kind}) is not known here", param="input")

    def _message(self, item: Item) -> None:
        if item["role"] != "assistant":
            self._flush()
            role = "user" if item["role"] == "user" else "system"
            self.out.append({"role": role, "content": chat_content(item["content"])})
            return
        self._begin()
        self._turn.content.append(said(item["content"]))

    def _reasoning(self, item: Item) -> None:
        turn = self._turn
        if turn.answered or turn.content or turn.calls:
            self._begin(anew=not turn.calls or turn.answered)
        texts = [part["text"] for part in item.get("content") or item.get("summary") or ()]
        self._turn.reasoning.extend(texts)

    def _call(self, id: str, name: str, arguments: str, result: str | None = None) -> None:
        self._begin()
        self._turn.calls.append({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        self._turn.results.append(result)
        if result is not None:
            self._turn.answered = True

    def _search(self, item: Item) -> None:
        """A search is worth telling when its results are kept; else what was said of them is what is left."""
        found = item.get("results")
        if not found:
            return
        if item["type"] == "file_search_call":
            asked: dict[str, Any] = {"queries": item["queries"]}
            found = passages(found)
        else:
            asked = {"query": (item.get("action") or {}).get("query", "")}
        name = item["type"].removesuffix("_call")
        self._call(item["id"], name, orjson.dumps(asked).decode(), orjson.dumps(found).decode())

    def _approval(self, item: Item) -> None:
        """An approved call is an item of its own; of a denied one the model hears here."""
        asked = item["approval_request_id"]
        request = self._requests.get(asked)
        if request is None:
            raise InvalidRequest(f"there is no approval request {asked!r}", param="input")
        if item["approve"]:
            return
        reason = f": {item['reason']}" if item.get("reason") else ""
        name = joined_name(request["server_label"], request["name"])
        self._call(request["id"], name, request["arguments"], f"The user did not approve this call{reason}")

    def _begin(self, anew: bool = False) -> None:
        """Another turn, when the one before has its results."""
        if anew or self._turn.answered:
            self._flush()

    def _flush(self) -> None:
        turn, self._turn = self._turn, _Turn()
        if not turn:
            return
        message: Message = {"role": "assistant", "content": "\n".join(turn.content) if turn.content else None}
        if turn.reasoning and self._options.reasoning_field:
            message[self._options.reasoning_field] = "\n".join(turn.reasoning)
        if turn.calls:
            message["tool_calls"] = turn.calls
        elif message["content"] is None:
            if self._options.reasoning_field not in message:
                return
            message["content"] = ""
        self.out.append(message)
        attached: list[dict[str, Any]] = []
        for call, result in zip(turn.calls, turn.results, strict=True):
            attached += self._result(call["id"], result)
        if attached:
            self.out.append({"role": "user", "content": attached})

    def _result(self, id: str, own: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        """Write the message of a result; what it has beside text is given back."""
        framed = own is not None or self._options.frame_client_results
        if own is None:
            if not self._results[id]:
                raise InvalidRequest(f"there is no output for the call {id!r}", param="input")
            own = self._results[id].popleft()
        text = plain_text(own)
        more = without_text(own)
        if more and not text:
            text = "What the tool returned is attached to the next message."
        self.out.append({"role": "tool", "tool_call_id": id, "content": untrusted(text) if framed else text})
        return more


def _mcp_result(item: Item) -> str:
    error = item.get("error")
    if error:
        return f"The call failed: {error if isinstance(error, str) else orjson.dumps(error).decode()}"
    return item.get("output") or ""
