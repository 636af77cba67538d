"""One item of every kind, as a client may write it."""

from __future__ import annotations

from typing import Any

_MCP = {"server_label": "files", "name": "read", "arguments": "{}"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "message": {"role": "user", "content": "Hello"},
    "function_call": {"call_id": "call_1", "name": "look", "arguments": "{}"},
    "function_call_output": {"call_id": "call_1", "output": "42"},
    "custom_tool_call": {"call_id": "call_2", "name": "run", "input": "ls"},
    "custom_tool_call_output": {"call_id": "call_2", "output": [{"type": "input_text", "text": "README"}]},
    "reasoning": {"summary": [{"type": "summary_text", "text": "Thought."}], "encrypted_content": "abc"},
    "compaction": {"encrypted_content": "abc"},
    "web_search_call": {
        "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://example.org"}]}
    },
    "file_search_call": {"queries": ["q"], "results": [{"file_id": "file-1", "text": "found", "score": 0.5}]},
    "code_interpreter_call": {"container_id": "c1", "code": "1", "outputs": [{"type": "logs", "logs": "1"}]},
    "image_generation_call": {"result": "AAAA"},
    "computer_call": {"call_id": "call_3", "pending_safety_checks": [], "action": {"type": "screenshot"}},
    "computer_call_output": {
        "call_id": "call_3",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
    },
    "local_shell_call": {"call_id": "call_4", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    "local_shell_call_output": {"output": "{}"},
    "mcp_list_tools": {"server_label": "files", "tools": [{"name": "read", "input_schema": {"type": "object"}}]},
    "mcp_approval_request": _MCP,
    "mcp_approval_response": {"approval_request_id": "mcpr_1", "approve": True},
    "mcp_call": {**_MCP, "output": "text"},
}


def example(kind: str, **more: Any) -> dict[str, Any]:
    """That one, with its type."""
    return {"type": kind, **EXAMPLES[kind], **more}


def message(text: str, **more: Any) -> dict[str, Any]:
    """What a user says."""
    return {"type": "message", "role": "user", "content": text, **more}
