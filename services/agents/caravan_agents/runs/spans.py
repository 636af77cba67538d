"""Spans of a run: one for what this process does of it, and one for each call of a tool.

Source: OpenTelemetry's semantic conventions for GenAI agent spans.
"""

from __future__ import annotations

from dataclasses import replace

from caravan_bus import tracing
from caravan_contracts.context import RequestContext


def of_run(context: RequestContext, id: str, model: str) -> tuple[tracing.Hop, RequestContext]:
    """The span, and the context of whatever the run asks for."""
    if not tracing.sampled(context.traceparent):
        return tracing.hop("", "INTERNAL", context.traceparent, {}), context
    attributes = {
        tracing.OPERATION: "invoke_agent",
        tracing.PROVIDER: "caravan",
        tracing.REQUEST_MODEL: model,
        tracing.RESPONSE_ID: id,
    }
    hop = tracing.hop("invoke_agent", "INTERNAL", context.traceparent, attributes)
    return hop, replace(context, traceparent=hop.traceparent)


def of_call(traceparent: str, name: str, id: str) -> tracing.Hop:
    """Of one call; its arguments and what came of it are nobody's business."""
    if not tracing.sampled(traceparent):
        return tracing.hop("", "INTERNAL", traceparent, {})
    attributes = {tracing.OPERATION: "execute_tool", tracing.TOOL_NAME: name, tracing.TOOL_CALL_ID: id}
    return tracing.hop(f"execute_tool {name}", "INTERNAL", traceparent, attributes)
