"""An answer is good while the model's name stands for the same."""

from __future__ import annotations

from typing import Any

import pytest
from caravan_bus.catalog import Catalog
from caravan_contracts.errors import ModelNotFound
from caravan_contracts.registry import Resource, ResourceKind, Source
from caravan_gateway.caching.target import digest_of, policy_of


def resource(kind: str, id: str, body: dict[str, Any], revision: int = 1) -> Resource:
    return Resource(
        tenant="default", kind=ResourceKind(kind), id=id, revision=revision, source=Source.API, created=0, body=body
    )


def provider(url: str = "http://a/v1", status: str = "ok") -> Resource:
    config = {"base_url": url, "allow_unlisted": True}
    return resource("provider", "a", {"provider_type": "remote::vllm", "config": config, "status": status})


def model(own: str = "m", **more: Any) -> Resource:
    return resource("model", "house", {"provider_id": "a", "provider_resource_id": own, **more})


def route(revision: int = 1, **more: Any) -> Resource:
    return resource("route", "r", {"targets": [{"model": "house"}, {"model": "b/later"}], **more}, revision)


def test_whether_answers_are_kept() -> None:
    catalog = Catalog([provider(), model(cache={"mode": "always", "seconds": 5}), route(cache={"mode": "off"})])
    assert policy_of(catalog, "house", "t").mode == "always"
    assert policy_of(catalog, "r", "t").mode == "off"
    unlisted = policy_of(catalog, "a/anything", "t")
    assert (unlisted.mode, unlisted.seconds) == ("header", 3600)
    assert policy_of(Catalog([provider(), model(cache=None)]), "house", "t").mode == "header"
    with pytest.raises(ModelNotFound):
        policy_of(catalog, "nowhere", "t")


@pytest.mark.parametrize("name", ["house", "r"])
def test_what_changes_answers(name: str) -> None:
    first = digest_of(Catalog([provider(), model(), route()]), name, "t")
    assert digest_of(Catalog([provider(status="error"), model(metadata={"a": 1}), route()]), name, "t") == first
    assert digest_of(Catalog([provider("http://b/v1"), model(), route()]), name, "t") != first
    assert digest_of(Catalog([provider(), model("other"), route()]), name, "t") != first
    changed = digest_of(Catalog([provider(), model(), route(2)]), name, "t") != first
    assert changed is (name == "r")
