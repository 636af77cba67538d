"""The configuration of an OpenAI-compatible provider: what is refused, and what is never shown."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.openai_compatible import OpenAICompatible
from caravan_inference.providers.openai_compatible.options import Config, read


def config_of(**config: Any) -> Config:
    return read(ProviderOptions("p", "remote::vllm", 8, config))[0]


@pytest.mark.parametrize("password", ["hunter2", "p%40ss%3Aword"])
def test_a_password_in_the_address_is_sent_and_not_shown(password: str) -> None:
    config = config_of(base_url=f"https://bob:{password}@host:8443/v1/", headers={"X-A": "b"})
    assert config.base_url == "https://host:8443/v1"
    scheme, _, sent = config.headers["Authorization"].partition(" ")
    plain = password.replace("%40", "@").replace("%3A", ":")
    assert (scheme, base64.b64decode(sent).decode()) == ("Basic", f"bob:{plain}")
    assert config.headers["X-A"] == "b"
    assert password not in repr(config)


async def test_an_upstream_that_cannot_be_reached_is_named_without_its_password() -> None:
    provider = OpenAICompatible(ProviderOptions("p", "remote::vllm", 8, {"base_url": "http://bob:hunter2@127.0.0.1:1"}))
    await provider.start()
    try:
        with pytest.raises(UpstreamFailed) as caught:
            await provider.models()
    finally:
        await provider.close()
    assert "hunter2" not in caught.value.message
    assert "hunter2" not in provider.server


@pytest.mark.parametrize(
    "url",
    [
        "http://bob:hunter2@host:99999/v1",
        "http://bob:hunter2@host:port/v1",
        "http://bob:hunter2@[::1/v1",
        "http://bob:hunter2@/v1",
        "http://host/v1 HTTP/1.1",
        "http://host/v1?key=hunter2",
        "http://host:0/v1",
        "ftp://host/v1",
        "host/v1",
    ],
)
def test_an_address_that_is_none_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(InvalidRequest, match="base_url") as caught:
        config_of(base_url=url)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("name", ["Transfer-Encoding", "content-length", "Host", "X-A: b\r\nX-B", "", "X A"])
def test_headers_that_frame_a_request_are_not_set_by_hand(name: str) -> None:
    with pytest.raises(InvalidRequest, match="headers"):
        config_of(base_url="http://host/v1", headers={name: "x"})


def test_a_key_is_never_sent_twice() -> None:
    config = config_of(base_url="http://bob:pw@host/v1", headers={"authorization": "Bearer mine"})
    assert config.headers == {"Authorization": "Bearer mine"}


def test_a_number_in_a_header_is_text() -> None:
    """``${env.NAME}`` of a variable that holds digits arrives as a number."""
    assert config_of(base_url="http://host/v1", headers={"X-Version": 5}).headers == {"X-Version": "5"}
