"""What a refusal says in its headers."""

from __future__ import annotations

import pytest
from caravan_contracts.errors import CaravanError, NoWorker, Overloaded, RateLimited, TenantLimited
from caravan_gateway import asgi, limits


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.25, b"250ms"), (1, b"1s"), (1.2, b"2s"), (6, b"6s"), (59.5, b"1m0s"), (90, b"1m30s"), (3600, b"60m0s")],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, written: bytes) -> None:
    assert limits.duration(seconds) == written


@pytest.mark.parametrize(("kind", "status"), [(TenantLimited, 429), (Overloaded, 503)])
def test_a_full_line_says_which_limit_was_reached_and_when_to_come_again(
    kind: type[TenantLimited] | type[Overloaded], status: int
) -> None:
    error = kind("full", retry_after=1.4)
    error.limit = 12
    assert error.status == status
    assert dict(asgi.error_headers(error)) == {
        b"retry-after": b"1",
        b"retry-after-ms": b"1400",
        b"x-ratelimit-limit-requests": b"12",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"2s",
    }


@pytest.mark.parametrize("error", [RateLimited("the provider's", retry_after=2), Overloaded("x", retry_after=1)])
def test_no_limit_is_made_up(error: CaravanError) -> None:
    assert {name for name, _ in asgi.error_headers(error)} == {b"retry-after", b"retry-after-ms"}
    assert limits.of_error(NoWorker("x", retry_after=5)) == []


def test_a_tenants_limit_is_one_of_openais_errors_here_and_on_the_bus() -> None:
    error = TenantLimited("yours", retry_after=1)
    assert error.to_body()["error"] == {
        "message": "yours",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    read = CaravanError.from_wire(error.to_wire())
    assert isinstance(read, RateLimited) and read.status == 429 and read.retry_after == 1
