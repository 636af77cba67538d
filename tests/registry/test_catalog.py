"""How the name of a model finds its provider."""

from __future__ import annotations

import time

import pytest
from caravan_bus.catalog import Catalog
from caravan_contracts.errors import ModelNotFound
from caravan_contracts.registry import Resource, ResourceKind, Source, key_of
from hypothesis import given
from hypothesis import strategies as st


def provider(name: str, tenant: str = "default", **config: object) -> Resource:
    return Resource(
        tenant=tenant,
        kind=ResourceKind.PROVIDER,
        id=name,
        revision=1,
        source=Source.API,
        created=0,
        body={"provider_type": "remote::openai", "config": config},
    )


def model(
    provider_id: str,
    own_id: str,
    *,
    id: str = "",
    tenant: str = "default",
    aliases: tuple[str, ...] = (),
    disabled: bool = False,
) -> Resource:
    return Resource(
        tenant=tenant,
        kind=ResourceKind.MODEL,
        id=id or f"{provider_id}/{own_id}",
        revision=1,
        source=Source.DISCOVERED,
        created=0,
        body={
            "provider_id": provider_id,
            "provider_resource_id": own_id,
            "aliases": list(aliases),
            "disabled": disabled,
        },
    )


def key(resource: Resource) -> str:
    return key_of(resource.tenant, resource.kind, resource.id)


class TestNames:
    def test_the_full_id_names_the_provider_and_its_own_model_id(self) -> None:
        target = Catalog([model("together", "meta-llama/Llama-3-8b")]).resolve("together/meta-llama/Llama-3-8b")
        assert (target.provider_id, target.resource_id) == ("together", "meta-llama/Llama-3-8b")
        assert target.id == "together/meta-llama/Llama-3-8b"

    def test_a_bare_id_is_enough_when_one_provider_serves_it(self) -> None:
        assert Catalog([model("ollama", "llama3.2:3b")]).resolve("llama3.2:3b").provider_id == "ollama"

    def test_ollamas_latest_tag_may_be_left_out(self) -> None:
        catalog = Catalog([model("ollama", "qwen3:latest"), model("ollama", "qwen3:8b")])
        assert catalog.resolve("qwen3").resource_id == "qwen3:latest"
        assert catalog.resolve("ollama/qwen3").resource_id == "qwen3:latest"

    def test_a_bare_id_of_two_providers_is_refused_with_the_candidates(self) -> None:
        catalog = Catalog([model("ollama", "llama3"), model("vllm", "llama3")])
        with pytest.raises(ModelNotFound, match=r"ambiguous: 'ollama/llama3' and 'vllm/llama3'"):
            catalog.resolve("llama3")

    def test_two_names_of_one_model_are_no_ambiguity(self) -> None:
        catalog = Catalog([model("openai", "gpt-4o"), model("openai", "gpt-4o", id="house")])
        assert catalog.resolve("gpt-4o").provider_id == "openai"

    def test_a_registered_id_beats_an_alias_and_an_alias_beats_a_bare_id(self) -> None:
        catalog = Catalog(
            [
                model("a", "one", id="fast"),
                model("b", "two", aliases=("fast", "small")),
                model("c", "small"),
            ]
        )
        assert catalog.resolve("fast").provider_id == "a"
        assert catalog.resolve("small").provider_id == "b"

    def test_the_providers_id_works_beside_the_registered_one(self) -> None:
        catalog = Catalog([model("openai", "gpt-4o", id="house")])
        assert catalog.resolve("openai/gpt-4o").id == "house"

    def test_a_provider_may_take_models_it_does_not_list(self) -> None:
        catalog = Catalog([provider("open", allow_unlisted=True), provider("closed")])
        target = catalog.resolve("open/anything/at all")
        assert (target.provider_id, target.resource_id, target.resource) == ("open", "anything/at all", None)
        with pytest.raises(ModelNotFound):
            catalog.resolve("closed/anything")

    def test_azure_has_deployments_that_it_does_not_list(self) -> None:
        azure, strict = provider("azure"), provider("strict", allow_unlisted=False)
        for resource in (azure, strict):
            resource.body["provider_type"] = "remote::azure"
        catalog = Catalog([azure, strict])
        assert catalog.resolve("azure/my-deployment").resource_id == "my-deployment"
        with pytest.raises(ModelNotFound):
            catalog.resolve("strict/my-deployment")

    def test_a_disabled_model_is_invisible_even_where_unlisted_ones_pass(self) -> None:
        catalog = Catalog([provider("open", allow_unlisted=True), model("open", "gone", disabled=True)])
        assert catalog.models() == []
        with pytest.raises(ModelNotFound):
            catalog.resolve("open/gone")


class TestTenants:
    def test_a_tenants_models_are_its_own_and_shared_ones_everybodys(self) -> None:
        catalog = Catalog([model("shared", "m"), model("own", "secret", tenant="acme")])
        assert [m.id for m in catalog.models("acme")] == ["own/secret", "shared/m"]
        assert [m.id for m in catalog.models("other")] == ["shared/m"]
        assert catalog.resolve("secret", "acme").provider_id == "own"
        with pytest.raises(ModelNotFound) as caught:
            catalog.resolve("own/secret", "other")
        assert "own/secret'" not in caught.value.message.replace("The model 'own/secret'", "")

    def test_a_tenants_own_model_hides_the_shared_one_of_that_name(self) -> None:
        catalog = Catalog([model("shared", "m", id="house"), model("own", "n", id="house", tenant="acme")])
        assert catalog.resolve("house", "acme").provider_id == "own"
        assert catalog.resolve("house", "default").provider_id == "shared"
        assert len(catalog.models("acme")) == 1


class TestUnknown:
    def test_near_matches_are_named(self) -> None:
        catalog = Catalog([model("openai", "gpt-4o-mini"), model("openai", "gpt-4o"), model("x", "other")])
        with pytest.raises(ModelNotFound, match=r"does not exist\. Did you mean .*'openai/gpt-4o-mini'"):
            catalog.resolve("gpt4o-mini")

    def test_few_models_are_listed_and_none_is_explained(self) -> None:
        with pytest.raises(ModelNotFound, match=r"There are 'a/one' and 'a/two'\."):
            Catalog([model("a", "one"), model("a", "two")]).resolve("zzzzzz")
        with pytest.raises(ModelNotFound, match=r"There is no model yet"):
            Catalog().resolve("anything")

    def test_a_miss_costs_little_among_many_models(self) -> None:
        catalog = Catalog([model(f"p{n % 7}", f"family-{n}-instruct") for n in range(10_000)])
        before = time.process_time()
        for _ in range(5):
            with pytest.raises(ModelNotFound) as caught:
                catalog.resolve("familly-77-instruct" + "x" * 100_000)
        assert len(caught.value.message) < 1000
        assert (time.process_time() - before) / 5 < 0.15


names = st.sampled_from(["a", "b", "llama3", "llama3:latest", "x/y", "house"])
tenants = st.sampled_from(["default", "acme", "beta"])
models = st.builds(
    model,
    st.sampled_from(["p", "q"]),
    names,
    id=st.one_of(st.just(""), names),
    tenant=tenants,
    aliases=st.lists(names, max_size=2).map(tuple),
    disabled=st.booleans(),
)
providers = st.builds(
    lambda name, tenant, unlisted: provider(name, tenant, allow_unlisted=unlisted),
    st.sampled_from(["p", "q"]),
    tenants,
    st.booleans(),
)
steps = st.lists(st.tuples(st.booleans(), st.one_of(models, providers)), max_size=25)


def answer(catalog: Catalog, name: str, tenant: str) -> object:
    try:
        target = catalog.resolve(name, tenant)
    except ModelNotFound:
        return None
    return (target.provider_id, target.resource_id)


@given(steps)
def test_changes_one_by_one_lead_where_a_fresh_catalog_stands(history: list[tuple[bool, Resource]]) -> None:
    live = Catalog()
    rows: dict[str, Resource] = {}
    for put, resource in history:
        if put:
            live.apply([resource])
            rows[key(resource)] = resource
        else:
            live.apply(removed=[key(resource)])
            rows.pop(key(resource), None)
    fresh = Catalog(rows.values())
    for tenant in ("default", "acme", "nobody"):
        assert live.models(tenant) == fresh.models(tenant)
        assert live.providers(tenant) == fresh.providers(tenant)
        for name in ("a", "llama3", "p/llama3", "x/y", "p/x/y", "house", "q/new"):
            assert answer(live, name, tenant) == answer(fresh, name, tenant)


@given(st.lists(models, max_size=20), tenants)
def test_every_listed_model_resolves_to_itself_and_belongs_to_the_tenant(rows: list[Resource], tenant: str) -> None:
    catalog = Catalog(rows)
    for resource in catalog.models(tenant):
        assert resource.tenant in (tenant, "default")
        assert catalog.resolve(resource.id, tenant).resource == resource


@given(st.lists(models, max_size=20), st.text(max_size=30), tenants)
def test_any_text_resolves_or_is_refused_as_unknown(rows: list[Resource], text: str, tenant: str) -> None:
    answer(Catalog(rows), text, tenant)


def test_how_many_are_cached_unasked() -> None:
    def cached(mode: str) -> Resource:
        one = model("a", "m")
        return one.model_copy(update={"body": {**one.body, "cache": {"mode": mode}}})

    catalog = Catalog([cached("always")])
    assert catalog.caching == 1
    catalog.apply([cached("header")])
    assert catalog.caching == 0
    catalog.apply([cached("always")])
    catalog.replace([cached("always"), model("a", "other")])
    assert catalog.caching == 1
    catalog.apply(removed=[key(cached("always"))])
    assert catalog.caching == 0
