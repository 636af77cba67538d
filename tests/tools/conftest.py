from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.tools.real import Counted, running, server


@pytest.fixture(scope="package")
def shop() -> Counted:
    return Counted(server().streamable_http_app())


@pytest.fixture(scope="package")
def old_shop() -> Counted:
    return Counted(server().sse_app())


@pytest.fixture(scope="package")
def shop_url(shop: Counted) -> Iterator[str]:
    """Streamable HTTP."""
    with running(shop) as port:
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(scope="package")
def old_shop_url(old_shop: Counted) -> Iterator[str]:
    """SSE, as servers spoke before."""
    with running(old_shop) as port:
        yield f"http://127.0.0.1:{port}/sse"


@pytest.fixture(params=["streamable_http", "sse"])
def url(request: pytest.FixtureRequest) -> Any:
    """Of both."""
    return request.getfixturevalue("shop_url" if request.param == "streamable_http" else "old_shop_url")
