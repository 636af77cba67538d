"""One tool of an MCP server as a hosted tool."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from caravan_agents.responses.items import Item
from caravan_agents.responses.tools import Offered
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import Emit, Outcome
from caravan_agents.tools.mcp.failures import ServerFailure, TooLarge
from caravan_agents.tools.mcp.links import Link
from caravan_agents.tools.mcp.listing import Listed
from caravan_agents.tools.mcp.options import ITEM_ROOM, McpOptions
from caravan_agents.tools.mcp.results import text_of
from caravan_agents.tools.mcp.selecting import hint

log = logging.getLogger(__name__)


class McpTool:
    """See :class:`~caravan_agents.tools.base.HostedTool`."""

    def __init__(
        self,
        listed: Listed,
        offered: Offered,
        link: Link,
        *,
        ask: bool,
        allowed: Mapping[str, ToolCall],
        options: McpOptions,
    ) -> None:
        """`ask`: whether a call has to be allowed first; `allowed`: those that were, by their approval request
        (:func:`~caravan_agents.tools.mcp.approvals.allowances`)."""
        self._offered = offered
        self._link = link
        self._ask = ask
        self._allowed = allowed
        self._options = options
        annotations = listed.get("annotations")
        self._idempotent = hint(annotations, "readOnlyHint") or hint(annotations, "idempotentHint")

    @property
    def offered(self) -> Offered:
        return self._offered

    @property
    def idempotent(self) -> bool:
        return self._idempotent

    def approval(self, call: ToolCall) -> Item | None:
        if not self._ask:
            return None
        return {
            "type": "mcp_approval_request",
            "server_label": self._offered.server_label,
            "name": self._offered.tool,
            "arguments": call.arguments,
        }

    def announce(self, emit: Emit, call: ToolCall, approval: str = "") -> int:
        item = self._item(call, arguments="", status="in_progress")
        index = emit.add({**item, "approval_request_id": approval or item["approval_request_id"]})
        emit.event(index, "response.mcp_call.in_progress")
        if call.arguments:
            emit.event(index, "response.mcp_call_arguments.delta", delta=call.arguments)
        emit.event(index, "response.mcp_call_arguments.done", arguments=call.arguments)
        return index

    async def run(self, call: ToolCall) -> Outcome:
        try:
            arguments = _arguments(call.arguments)
            result = await self._link.call(self._offered.tool, arguments)
            text = self._fitting(text_of(result, self._options.answer_bytes), call)
        except ServerFailure as failure:
            log.info("%s: the call of %r failed: %s", self._offered.server_label, self._offered.tool, failure.message)
            return _failed(failure.message, failure.error())
        if result.get("isError"):
            content = [{"type": "text", "text": text}]
            return _failed(text, {"type": "mcp_tool_execution_error", "content": content})
        return Outcome(text, fields={"status": "completed", "output": text, "error": None})

    def finish(self, emit: Emit, index: int, call: ToolCall, outcome: Outcome) -> None:
        fields = outcome.fields
        if not outcome.ok and not fields:  # it was not run here: it was skipped, or nobody knows
            fields = _failed(outcome.text, ServerFailure(outcome.text, "mcp_protocol_error", -32603).error()).fields
        emit.event(index, "response.mcp_call.completed" if outcome.ok else "response.mcp_call.failed")
        emit.done(index, {**self._item(call, arguments=call.arguments, status="completed"), **fields})

    def _fitting(self, text: str, call: ToolCall) -> str:
        """`text`, when the item that holds it can be kept. Raises TooLarge."""
        most = self._options.item_bytes
        if most and len(orjson.dumps(text)) + len(orjson.dumps(call.arguments)) > most - ITEM_ROOM:
            raise TooLarge(most)
        return text

    def _item(self, call: ToolCall, arguments: str, status: str) -> Item:
        return {
            "type": "mcp_call",
            "status": status,
            "approval_request_id": call.id if self._allowed.get(call.id) == call else None,
            "arguments": arguments,
            "error": None,
            "name": self._offered.tool,
            "output": None,
            "server_label": self._offered.server_label,
        }


def _arguments(text: str) -> dict[str, Any]:
    try:
        made = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        made = None
    if not isinstance(made, dict):
        raise ServerFailure("the arguments are no JSON object", "mcp_protocol_error", -32602)
    return made


def _failed(text: str, error: dict[str, Any]) -> Outcome:
    fields = {"status": "failed", "output": None, "error": error}
    return Outcome(f"The call failed: {text}", ok=False, fields=fields)
