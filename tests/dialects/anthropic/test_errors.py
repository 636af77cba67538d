"""Errors as Anthropic's clients read them."""

from __future__ import annotations

import json

import pytest
from anthropic.types import ErrorResponse
from caravan_contracts import errors as e
from caravan_gateway.dialects.anthropic import errors

from tests.dialects.anthropic.making import events

CASES = [
    (e.InvalidRequest("x"), "invalid_request_error"),
    (e.AuthenticationFailed("x"), "authentication_error"),
    (e.PermissionDenied("x"), "permission_error"),
    (e.ModelNotFound("x"), "not_found_error"),
    (e.RequestTooLarge("x"), "request_too_large"),
    (e.RateLimited("x"), "rate_limit_error"),
    (e.Overloaded("x"), "overloaded_error"),
    (e.DeadlineExceeded("x"), "timeout_error"),
    (e.UpstreamFailed("x"), "api_error"),
    (e.CaravanError("x"), "api_error"),
    (e.Conflict("x"), "invalid_request_error"),
]


@pytest.mark.parametrize(("error", "kind"), CASES, ids=[type(error).__name__ for error, _ in CASES])
def test_its_type_follows_from_its_status(error: e.CaravanError, kind: str) -> None:
    told = json.loads(errors.body(error, "req_1"))
    assert told == {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_1"}
    if kind != "request_too_large":  # which the client has no class for
        ErrorResponse.model_validate(told)
    [event] = events(errors.last_event(error))
    assert event == {"type": "error", "error": {"type": kind, "message": "x"}}


def test_a_prompt_that_is_too_long_is_called_so() -> None:
    told = json.loads(errors.body(e.ContextLengthExceeded("70 tokens, and 64 fit"), ""))
    assert told["error"]["message"] == "prompt is too long: 70 tokens, and 64 fit"
    known = json.loads(errors.body(e.ContextLengthExceeded("prompt is too long: 7 > 6"), ""))
    assert known["error"]["message"] == "prompt is too long: 7 > 6"
