"""The response object tells back what was asked, at each stage, and keeps secrets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_agents.responses.assembly import ResponseObject, Status, Usage, error_object
from caravan_agents.responses.request import read_request
from caravan_contracts.errors import ContextLengthExceeded, RateLimited, UpstreamFailed
from openai.types.responses import Response, ResponseError

from tests.responses.chat import USAGE


def made(**fields: Any) -> ResponseObject:
    request = read_request(orjson.dumps({"model": "m", "input": "Hi", **fields}))
    return ResponseObject("resp_1", 1700000000, request)


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"])
def test_every_stage_is_the_sdks_response(status: Status) -> None:
    told = made(background=True).snapshot(status, completed_at=1700000001)
    assert Response.model_validate(told, strict=True).status == status
    assert told["completed_at"] == (1700000001 if status == "completed" else None)
    assert not set(Response.model_fields) - set(told) - {
        "access_programs", "image", "input_transformations", "moderation", "prompt_cache_diagnostics",
        "prompt_cache_options", "prompt_cache_retention", "tool_usage",
    }  # fmt: skip


@pytest.mark.parametrize("status", ["queued", "completed"])
def test_what_was_asked_is_told_back(status: Status) -> None:
    asked: dict[str, Any] = {
        "instructions": "Be brief",
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_0",
        "prompt": {"id": "pmpt_1"},
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": "none",
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
        "background": True,
    }
    told = made(**asked).snapshot(status)
    assert {name: told[name] for name in asked} == asked


def test_a_conversation_is_told_as_an_object() -> None:
    assert made(conversation="conv_1").snapshot("queued")["conversation"] == {"id": "conv_1"}


def test_keys_of_mcp_servers_are_not_told() -> None:
    tool = {
        "type": "mcp",
        "server_label": "d",
        "server_url": "https://d.test",
        "authorization": "secret-1",
        "headers": {"X-Key": "secret-2"},
    }
    told = made(tools=[tool, {"type": "function", "name": "f"}]).snapshot("completed")
    assert b"secret" not in orjson.dumps(told)
    assert told["tools"][0]["headers"] == {"X-Key": "<redacted>"}
    Response.model_validate(told)


def test_usage_is_summed_over_turns() -> None:
    one = made()
    assert one.snapshot("completed")["usage"] is None
    for _turn in range(2):
        one.add_usage(USAGE)
    told = one.snapshot("completed")["usage"]
    assert told["input_tokens"] == 22 and told["input_tokens_details"]["cached_tokens"] == 6
    assert told["output_tokens_details"]["reasoning_tokens"] == 4 and told["total_tokens"] == 36


@pytest.mark.parametrize("given", [{}, {"prompt_tokens": None}, {"prompt_tokens_details": None}])
def test_usage_that_a_provider_leaves_out_is_nothing(given: dict[str, Any]) -> None:
    usage = Usage()
    usage.add(given)
    assert usage == Usage()


def test_errors_have_a_code_that_the_sdk_knows() -> None:
    for error, code in (
        (RateLimited("slower"), "rate_limit_exceeded"),
        (ContextLengthExceeded("too long"), "invalid_prompt"),
        (UpstreamFailed("gone"), "server_error"),
    ):
        told = error_object(error)
        assert ResponseError.model_validate(told).code == code and told["message"] == error.message
